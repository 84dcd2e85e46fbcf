"""So3krates of the 2022 code (mlff, branch v0.1, MIT licence) by its names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor

from ase_geomformer.architectures import So3krates2022Settings
from ase_geomformer.architectures.so3krates.nonlocality import UNIFORM
from ase_geomformer.convert.flax import RADIAL_BASES, dense_names, norm_names, translated
from ase_geomformer.convert.flax_blocks import (
    CUTOFFS,
    atomic_tables,
    attention_names,
    hidden_width,
    outer_names,
)

# Products of degrees, (l1, l2, L) with l1 < l2 up to 4, whose coefficients are minus e3nn's in the
# original; those with l1 + l2 + L even all agree.
FLIPPED_PRODUCTS = {(1, 2, 2), (1, 3, 3), (2, 3, 2), (2, 4, 3)}


def settings_2022(config: Mapping[str, Any]) -> So3krates2022Settings:
    """Our settings from the constructor arguments of the original model.

    Raises
    ------
    ValueError
        If attention in the space of spherical harmonic coordinates goes without all pairs.
    """
    limit: float | Literal["uniform"] | None = config.get("chi_cut")
    if config.get("chi_cut_dynamic"):
        limit = UNIFORM
    if limit is not None and not config.get("global_neighbour_list", True):
        raise ValueError(
            "chi_cut without a global neighbour list cannot be converted: its softmax would depend "
            "on which pairs are listed"
        )
    return So3krates2022Settings(
        cutoff=config["r_cut"],
        num_features=config["F"],
        num_layers=config["n_layer"],
        num_heads=config["n_heads"],
        degrees=tuple(config["degrees"]),
        radial_basis=translated(config, "rbf", RADIAL_BASES),
        num_radial_basis=config["n_rbf"],
        cutoff_function=translated(config, "cut", CUTOFFS),
        radial_width=hidden_width(config["rad_filter"], config["F"]),
        spherical_width=hidden_width(config["sph_filter"], config["F"]),
        parity=config["parity"],
        softening=0.0,
        nonlocal_cutoff=limit,
        feature_layer_norm=config["feature_layer_norm"],
        geometry_layer_norm=config["sphc_layer_norm"],
        **atomic_tables(config),
    )


def names_2022(settings: So3krates2022Settings) -> dict[str, str]:
    """The original name of every parameter of our So3krates2022."""
    names = outer_names(settings)
    for layer in range(settings.num_layers):
        ours, theirs = f"layers.{layer}", f"params.layers_{layer}"
        block = f"{theirs}.InteractionBlock_0"
        names |= attention_names(f"{ours}.attention", theirs, bias=True)
        names |= dense_names(f"{ours}.interaction.mix", f"{block}.MLP_0.layers_0")
        names |= dense_names(f"{ours}.interaction.products", f"{block}.MLP_1.layers_0")
        names[f"{ours}.interaction.self_mix.weight"] = f"{block}.selfmix.params"
        for index in (0, 1):
            if settings.feature_layer_norm:
                names |= norm_names(
                    f"{ours}.feature_norm_{index + 1}", f"{theirs}.LayerNorm_{index}"
                )
            if settings.geometry_layer_norm:
                scale = f"{theirs}.SPHCLayerNorm_{index}.scale_weight"
                names[f"{ours}.geometry_norm_{index + 1}.scale"] = scale
    return names


def with_our_signs(settings: So3krates2022Settings, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of products whose coefficients have the other sign here, negated."""
    degrees = settings.degrees
    for name, weight in state.items():
        if name.endswith("self_mix.weight"):
            for out, first, second in (weight.new_ones(weight.shape) > 0).nonzero().tolist():
                if (degrees[first], degrees[second], degrees[out]) in FLIPPED_PRODUCTS:
                    weight[out, first, second] *= -1.0
    return state
