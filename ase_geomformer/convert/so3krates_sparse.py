"""So3krates of the sparse code (mlff, branch v1.0-lrs-gems, MIT licence) by its names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase_geomformer.architectures import So3kratesSettings
from ase_geomformer.convert.flax import RADIAL_BASES, dense_names, norm_names, translated

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
_CUTOFFS = {"cosine": "cosine", "phys": "quintic", "exponential": "exponential"}
_HEAD_MATRICES = {
    "Wq1": "feature_query",
    "Wk1": "feature_key",
    "Wv1": "feature_value",
    "Wq2": "geometry_query",
    "Wk2": "geometry_key",
}
_FILTERS = {"1": "feature_filter", "2": "geometry_filter"}
_CHARGES = "params.observables_0.electrostatic_energy.partial_charges"
_HIRSHFELD = "params.observables_2"


def sparse_settings(config: Mapping[str, Any]) -> So3kratesSettings:
    """Our settings from the constructor arguments of the original model."""
    settings = {
        ours: config[theirs] for theirs, ours in _RENAMED_SETTINGS.items() if theirs in config
    }
    settings["radial_basis"] = translated(config, "radial_basis_fn", RADIAL_BASES)
    settings["cutoff_function"] = translated(config, "cutoff_fn", _CUTOFFS)
    return So3kratesSettings(**{"atomic_shifts": False, **settings, **_head_widths(config)})


def _head_widths(config: Mapping[str, Any]) -> dict[str, int]:
    """Widths of the heads that the long-range terms need: the original derives them so."""
    terms, width = sparse_terms(config), config.get("energy_regression_dim")
    if not terms:
        return {}
    if width is None:
        raise ValueError(
            f"the terms {', '.join(terms)} cannot be converted where energy_regression_dim is None"
        )
    widths = {
        "electrostatics": ("charge_width", width),
        "dispersion": ("hirshfeld_width", width // 2),
    }
    return dict(widths[name] for name in terms)


def sparse_terms(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of our long-range terms that the original's energy has."""
    cutoff = config.get("cutoff_lr")
    terms: dict[str, dict[str, Any]] = {}
    if config.get("electrostatic_energy_bool"):
        scale = config["electrostatic_energy_scale"]
        terms["electrostatics"] = {
            "damping_length": scale,
            "long_range_cutoff": cutoff,
            "truncation": "published",
        }
    if config.get("dispersion_energy_bool"):
        scale = config["dispersion_energy_scale"]
        terms["dispersion"] = {"damping_scale": scale, "long_range_cutoff": cutoff}
        switch_width = config.get("dispersion_energy_cutoff_lr_damping")
        if switch_width is not None:
            terms["dispersion"]["switch_width"] = switch_width
    return terms


def sparse_names(settings: So3kratesSettings) -> dict[str, str]:
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
        names |= dense_names("energy_head.hidden", f"{head}.energy_dense_regression")
    names |= dense_names("energy_head.final", f"{head}.energy_dense_final")
    if settings.atomic_scales:
        names["energy_head.scales"] = f"{head}.atomic_scales"
    if settings.atomic_shifts:
        names["energy_head.shifts"] = f"{head}.energy_offset"
    return names | _further_head_names(settings)


def _further_head_names(settings: So3kratesSettings) -> dict[str, str]:
    names: dict[str, str] = {}
    if settings.charge_width is not None:
        names |= dense_names("heads.charges.hidden", f"{_CHARGES}.charge_dense_regression_vec")
        names |= dense_names("heads.charges.final", f"{_CHARGES}.charge_dense_final_vec")
        names["heads.charges.shifts"] = f"{_CHARGES}.Embed_0.embedding"
    if settings.hirshfeld_width is not None:
        ours, theirs = "heads.hirshfeld_ratios", f"{_HIRSHFELD}.hirshfeld_ratios_dense"
        names |= dense_names(f"{ours}.hidden", f"{theirs}_regression")
        names |= dense_names(f"{ours}.final", f"{theirs}_final")
        names[f"{ours}.shifts"] = f"{_HIRSHFELD}.Embed_0.embedding"
        names[f"{ours}.elements.weight"] = f"{_HIRSHFELD}.Embed_1.embedding"
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
                names |= dense_names(
                    f"{ours}.attention.{name}.{kind}_{step}",
                    f"{attention}.{kind}_filter{suffix}_layer_{step}",
                )
    names |= dense_names(f"{ours}.exchange.mix", f"{theirs}.exchange_block.mlp_layer_2")
    for number, norm, network in (
        (1, settings.layer_norm_1, settings.residual_mlp_1),
        (2, settings.layer_norm_2, settings.residual_mlp_2),
    ):
        if norm:
            root = f"{theirs}.layer_normalization_{number}"
            names |= norm_names(f"{ours}.norm_{number}", root)
        if network:
            for step in (1, 2):
                names |= dense_names(
                    f"{ours}.network_{number}.dense_{step}",
                    f"{theirs}.res_mlp_{number}_layer_{step}",
                )
    return names
