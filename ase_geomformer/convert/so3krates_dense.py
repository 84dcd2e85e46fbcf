"""So3krates of the dense code (mlff, main branch, v0.3, MIT licence) by its names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase_geomformer.architectures import So3kratesDenseSettings
from ase_geomformer.convert.flax import RADIAL_BASES, dense_names, norm_names, translated
from ase_geomformer.convert.flax_blocks import (
    CUTOFFS,
    atomic_tables,
    attention_names,
    hidden_width,
    outer_names,
)

_FILTER_WIDTHS = {"rad": "radial_width", "sph": "spherical_width"}
_RESIDUAL = {
    "dense_1": "Residual_0.layers_0",
    "dense_2": "Residual_0.layers_1",
    "final": "Dense_0",
}


def dense_settings(config: Mapping[str, Any]) -> So3kratesDenseSettings:
    """Our settings from the original's: ``F``, ``n_layer`` and the keywords of its two modules.

    Raises
    ------
    ValueError
        If features and geometry are filtered differently.
    """
    geometry, layer = config["geometry_embed_kwargs"], config["so3krates_layer_kwargs"]
    num_features = config["F"]
    settings: dict[str, Any] = {}
    filters = {layer.get(f"{block}_filter", "radial_spherical") for block in ("fb", "gb")}
    if len(filters) > 1:
        raise ValueError(f"filters {sorted(filters)} in one layer cannot be converted")
    for kind, ours in _FILTER_WIDTHS.items():
        widths = {
            hidden_width(given, num_features)
            for block in ("fb", "gb")
            if (given := layer.get(f"{block}_{kind}_filter_features"))
        }
        if len(widths) > 1:
            raise ValueError(f"filters of hidden widths {sorted(widths)} cannot be converted")
        settings[ours] = widths.pop() if widths else None
    return So3kratesDenseSettings(
        cutoff=geometry["r_cut"],
        num_features=num_features,
        num_layers=config["n_layer"],
        num_heads=layer["n_heads"],
        degrees=tuple(layer["degrees"]),
        radial_basis=translated(geometry, "radial_basis_function", RADIAL_BASES),
        num_radial_basis=geometry["n_rbf"],
        cutoff_function=translated(geometry, "radial_cutoff_fn", CUTOFFS),
        spherical_filter=filters != {"radial"},
        initial_normalization=geometry.get("sphc_normalization"),
        layer_norm=layer.get("layer_normalization", False),
        residual_mlp_1=layer.get("residual_mlp_1", False),
        residual_mlp_2=layer.get("residual_mlp_2", False),
        **settings,
        **atomic_tables(config),
    )


def dense_generation_names(settings: So3kratesDenseSettings) -> dict[str, str]:
    """The original name of every parameter of our So3kratesDense."""
    names = outer_names(settings)
    for layer in range(settings.num_layers):
        ours, theirs = f"layers.{layer}", f"params.layers_{layer}"
        names |= attention_names(
            f"{ours}.attention", theirs, bias=False, spherical=settings.spherical_filter
        )
        names |= dense_names(f"{ours}.exchange.mix", f"{theirs}.InteractionBlock_0.MLP_0.layers_0")
        if settings.layer_norm:
            for index in (0, 1):
                names |= norm_names(f"{ours}.norm_{index + 1}", f"{theirs}.LayerNorm_{index}")
        used = [number for number in (1, 2) if getattr(settings, f"residual_mlp_{number}")]
        for index, number in enumerate(used):
            for matrix, path in _RESIDUAL.items():
                names |= dense_names(
                    f"{ours}.network_{number}.{matrix}",
                    f"{theirs}.ResidualMLP_{index}.{path}",
                    bias=False,
                )
    if settings.layer_norm:
        names |= norm_names("final_norm", f"params.layers_{settings.num_layers - 1}.LayerNorm_2")
    return names
