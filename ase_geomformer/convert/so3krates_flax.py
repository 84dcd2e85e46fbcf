"""So3krates weights of the original JAX code, by its parameter names.

The reference code (mlff, branch v1.0-lrs-gems, MIT licence) stores kernels as (in, out) where
torch has (out, in), and numbers its modules; the tables below say which is which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ase_geomformer.architectures import So3krates, So3kratesSettings, build
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential

_RENAMED_SETTINGS = {
    "cutoff": "cutoff",
    "num_features": "num_features",
    "num_layers": "num_layers",
    "num_heads": "num_heads",
    "degrees": "degrees",
    "num_radial_basis_fn": "num_radial_basis",
    "message_normalization": "message_normalization",
    "avg_num_neighbors": "avg_num_neighbors",
    "layer_normalization_1": "layer_norm_1",
    "layer_normalization_2": "layer_norm_2",
    "residual_mlp_1": "residual_mlp_1",
    "residual_mlp_2": "residual_mlp_2",
    "qk_non_linearity": "qk_activation",
    "activation_fn": "activation",
    "energy_regression_dim": "energy_width",
    "energy_activation_fn": "energy_activation",
    "energy_learn_atomic_type_scales": "atomic_scales",
    "energy_learn_atomic_type_shifts": "atomic_shifts",
    "use_charge_embed": "charge_embedding",
    "use_spin_embed": "spin_embedding",
}
_RADIAL_BASES = {
    "physnet": "physnet",
    "phys": "physnet",
    "bernstein": "bernstein",
    "fourier": "bessel",
    "bessel": "bessel",
}
_CUTOFFS = {"cosine": "cosine", "phys": "quintic", "exponential": "exponential"}
_HEAD_MATRICES = {
    "Wq1": "feature_query",
    "Wk1": "feature_key",
    "Wv1": "feature_value",
    "Wq2": "geometry_query",
    "Wk2": "geometry_key",
}
_FILTERS = {"1": "feature_filter", "2": "geometry_filter"}
_ZBL = "params.observables_0.zbl_repulsion"
_ZBL_NAMES = {
    "exponents": ("a1", "a2", "a3", "a4"),
    "coefficients": ("c1", "c2", "c3", "c4"),
    "charge_exponent": ("p",),
    "inverse_length": ("d",),
}
_UNSUPPORTED = ("electrostatic_energy_bool", "dispersion_energy_bool")


def so3krates_from_flax(
    config: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    elements: Iterable[str | int] = range(1, 119),
) -> Potential:
    """A potential in float64 from a model of the original sparse code.

    Parameters
    ----------
    config : mapping
        Constructor arguments of the original model.
    weights : mapping
        Arrays by flax path joined with dots, ``params.layers_0.attention_block.Wq1``.
    elements : iterable of str or int
        Elements the model was trained on; the original does not say.

    Raises
    ------
    ValueError
        If the energy has a term that we lack, or a parameter is missing.
    """
    lacking = [name for name in _UNSUPPORTED if config.get(name)]
    if lacking:
        raise ValueError(f"the model's energy has terms that cannot be converted: {lacking}")
    settings = so3krates_settings(config)
    architecture = build(So3krates.name, asdict(settings))
    architecture.load_state_dict(so3krates_state(weights, settings))
    terms = {}
    if config.get("zbl_repulsion_bool"):
        envelope = {"cutoff": settings.cutoff, "cutoff_function": settings.cutoff_function}
        terms = build_terms({"zbl": envelope})
        terms["zbl"].load_state_dict(zbl_state(weights))
    return Potential(architecture, elements, terms=terms)


def so3krates_settings(config: Mapping[str, Any]) -> So3kratesSettings:
    """Our settings from the constructor arguments of the original sparse model."""
    settings = {
        ours: config[theirs] for theirs, ours in _RENAMED_SETTINGS.items() if theirs in config
    }
    settings["radial_basis"] = _translated(config, "radial_basis_fn", _RADIAL_BASES)
    settings["cutoff_function"] = _translated(config, "cutoff_fn", _CUTOFFS)
    return So3kratesSettings(**{"atomic_shifts": False, **settings})


def _translated(config: Mapping[str, Any], key: str, table: Mapping[str, str]) -> str:
    value = str(config.get(key))
    if value not in table:
        raise ValueError(f"{key} is {value!r}; only {', '.join(table)} can be converted")
    return table[value]


def so3krates_state(
    weights: Mapping[str, np.ndarray], settings: So3kratesSettings
) -> dict[str, Tensor]:
    """Our state dict of the neural part from the original's parameters.

    Parameters
    ----------
    weights : mapping
        Arrays by flax path joined with dots, ``params.layers_0.attention_block.Wq1``.
    settings : So3kratesSettings

    Raises
    ------
    ValueError
        If a parameter of the neural part is missing.
    """
    state: dict[str, Tensor] = {}
    names = neural_names(settings)
    _check_present(names.values(), weights)
    for ours, theirs in names.items():
        array = np.asarray(weights[theirs])
        value = torch.from_numpy(np.array(array.T if theirs.endswith(".kernel") else array))
        state[ours] = value
    return state


def zbl_state(weights: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Our state dict of the ZBL repulsion from the original's parameters."""
    paths = zbl_names()
    _check_present((path for group in paths.values() for path in group), weights)
    return {
        ours: torch.from_numpy(np.concatenate([weights[path] for path in group])).squeeze()
        for ours, group in paths.items()
    }


def zbl_names() -> dict[str, list[str]]:
    """The original names of the numbers in every parameter of our ZBL repulsion."""
    return {ours: [f"{_ZBL}.{name}" for name in names] for ours, names in _ZBL_NAMES.items()}


def _check_present(names: Iterable[str], weights: Mapping[str, np.ndarray]) -> None:
    missing = sorted(set(names) - set(weights))
    if missing:
        raise ValueError(f"the checkpoint lacks {len(missing)} parameters, first {missing[0]!r}")


def neural_names(settings: So3kratesSettings) -> dict[str, str]:
    """The original name of every parameter of our So3krates."""
    names = {"element_embedding.weight": "params.feature_embeddings_0.Embed_0.embedding"}
    optional = ("charge_embedding", "spin_embedding")
    used = [name for name in optional if getattr(settings, name)]
    for number, name in enumerate(used, start=1):
        root = f"params.feature_embeddings_{number}.ChargeSpinEmbedSparse_0"
        for index, table in enumerate(("query", "key", "value")):
            names[f"{name}.{table}.weight"] = f"{root}.Embed_{index}.embedding"
        for index in (0, 1):
            names[f"{name}.dense_{index + 1}.weight"] = f"{root}.Residual_0.layers_{index}.kernel"
    for layer in range(settings.num_layers):
        names |= _layer_names(settings, f"layers.{layer}", f"params.layers_{layer}")
    head = "params.observables_0"
    if settings.energy_width:
        names |= _dense("energy_head.hidden", f"{head}.energy_dense_regression")
    names |= _dense("energy_head.final", f"{head}.energy_dense_final")
    if settings.atomic_scales:
        names["energy_head.scales"] = f"{head}.atomic_scales"
    if settings.atomic_shifts:
        names["energy_head.shifts"] = f"{head}.energy_offset"
    return names


def _layer_names(settings: So3kratesSettings, ours: str, theirs: str) -> dict[str, str]:
    attention = f"{theirs}.attention_block"
    names = {
        f"{ours}.attention.{name}.weight": f"{attention}.{matrix}"
        for matrix, name in _HEAD_MATRICES.items()
    }
    for suffix, name in _FILTERS.items():
        for kind in ("radial", "spherical"):
            for step in (1, 2):
                names |= _dense(
                    f"{ours}.attention.{name}.{kind}_{step}",
                    f"{attention}.{kind}_filter{suffix}_layer_{step}",
                )
    names |= _dense(f"{ours}.exchange.mix", f"{theirs}.exchange_block.mlp_layer_2")
    for number, norm, network in (
        (1, settings.layer_norm_1, settings.residual_mlp_1),
        (2, settings.layer_norm_2, settings.residual_mlp_2),
    ):
        if norm:
            root = f"{theirs}.layer_normalization_{number}"
            names[f"{ours}.norm_{number}.weight"] = f"{root}.scale"
            names[f"{ours}.norm_{number}.bias"] = f"{root}.bias"
        if network:
            for step in (1, 2):
                names |= _dense(
                    f"{ours}.network_{number}.dense_{step}",
                    f"{theirs}.res_mlp_{number}_layer_{step}",
                )
    return names


def _dense(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.weight": f"{theirs}.kernel", f"{ours}.bias": f"{theirs}.bias"}
