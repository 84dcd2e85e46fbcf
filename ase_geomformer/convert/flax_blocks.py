"""Names that the two older So3krates codes have in common, attention and energy head.

Both keep what is mapped over heads in modules whose name starts with ``Vmap``, and the feature
and the geometry part of attention in blocks of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase_geomformer.convert.flax import dense_names

CUTOFFS = {
    "cosine_cutoff_fn": "cosine",
    "phys_cutoff_fn": "quintic",
    "exponential_cutoff_fn": "exponential",
}
_BLOCKS = {"feature": "FeatureBlock_0", "geometry": "GeometricBlock_0"}
_COEFFICIENTS = "attention_fn.VmapConvAttentionCoefficients_0"
_AGGREGATION = "attention_fn.VmapAttentionAggregation_0"


def attention_names(
    ours: str, theirs: str, *, bias: bool, spherical: bool = True
) -> dict[str, str]:
    """The names of attention's parameters in a layer."""
    names: dict[str, str] = {}
    for block, path in _BLOCKS.items():
        root = f"{theirs}.{path}"
        for index, matrix in enumerate(("query", "key")):
            names |= dense_names(
                f"{ours}.{block}_{matrix}", f"{root}.{_COEFFICIENTS}.Dense_{index}", bias=bias
            )
        for index, kind in enumerate(("radial", "spherical")[: 1 + spherical]):
            for step in (0, 1):
                names |= dense_names(
                    f"{ours}.{block}_filter.{kind}_{step + 1}",
                    f"{root}.filter_fn.VmapMLP_{index}.layers_{step}",
                )
    value = f"{theirs}.{_BLOCKS['feature']}.{_AGGREGATION}.Dense_0"
    return names | dense_names(f"{ours}.feature_value", value, bias=bias)


def outer_names(settings: Any) -> dict[str, str]:
    """The names of what comes before the first and after the last layer."""
    names = {"element_embedding.weight": "params.feature_embeddings_0.Embed_0.embedding"}
    head = "params.observables_0.MLP_0"
    names |= dense_names("energy_head.hidden", f"{head}.layers_0")
    names |= dense_names("energy_head.final", f"{head}.layers_1")
    if settings.atomic_scales:
        names["energy_head.scales"] = "config.per_atom_scale"
    if settings.atomic_shifts:
        names["energy_head.shifts"] = "config.per_atom_shift"
    return names


def atomic_tables(config: Mapping[str, Any]) -> dict[str, bool]:
    """Our settings for the fixed scale and shift of each element that a configuration may hold."""
    return {
        "atomic_scales": config.get("per_atom_scale") is not None,
        "atomic_shifts": config.get("per_atom_shift") is not None,
    }


def hidden_width(widths: list[int], num_features: int) -> int:
    """The hidden width of a filter network that the original lists layer by layer.

    Raises
    ------
    ValueError
        If it has another depth than ours.
    """
    if len(widths) != 2 or widths[1] != num_features:
        raise ValueError(
            f"a filter network with layers of widths {list(widths)} cannot be converted: it must "
            f"have two, the second of the features' width {num_features}"
        )
    return int(widths[0])
