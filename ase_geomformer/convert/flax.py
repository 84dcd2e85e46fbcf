"""What the converters of flax checkpoints share.

Weights are arrays by flax path joined with dots, ``params.layers_0.attention_block.Wq1``. A table
of names, ours to theirs, says which parameter is which; kernels are (in, out) there where torch
has (out, in), and one more axis of length one where the original mapped over a single head or
has one number per element.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

RADIAL_BASES = {
    "physnet": "physnet",
    "phys": "physnet",
    "bernstein": "bernstein",
    "fourier": "bessel",
    "bessel": "bessel",
}
_ZBL_NAMES = {
    "exponents": ("a1", "a2", "a3", "a4"),
    "coefficients": ("c1", "c2", "c3", "c4"),
    "charge_exponent": ("p",),
    "inverse_length": ("d",),
}
# Tables with a row for each element, which may end earlier in the original.
_ELEMENT_TABLES = {
    "element_embedding.weight": 0.0,
    "energy_head.scales": 1.0,
    "energy_head.shifts": 0.0,
    "heads.charges.shifts": 0.0,
    "heads.hirshfeld_ratios.shifts": 0.0,
    "heads.hirshfeld_ratios.elements.weight": 0.0,
}


def translated(config: Mapping[str, Any], key: str, table: Mapping[str, str]) -> str:
    """Our name of the choice that the original's configuration makes under ``key``.

    Raises
    ------
    ValueError
        If it is none of those we have.
    """
    value = str(config.get(key))
    if value not in table:
        raise ValueError(f"{key} is {value!r}; only {', '.join(table)} can be converted")
    return table[value]


def dense_names(ours: str, theirs: str, *, bias: bool = True) -> dict[str, str]:
    """The names of a linear layer's parameters."""
    names = {f"{ours}.weight": f"{theirs}.kernel"}
    return names | {f"{ours}.bias": f"{theirs}.bias"} if bias else names


def norm_names(ours: str, theirs: str) -> dict[str, str]:
    """The names of a layer norm's parameters."""
    return {f"{ours}.weight": f"{theirs}.scale", f"{ours}.bias": f"{theirs}.bias"}


def zbl_names(root: str) -> dict[str, list[str]]:
    """The original names of the numbers in every parameter of our ZBL repulsion."""
    return {ours: [f"{root}.{name}" for name in names] for ours, names in _ZBL_NAMES.items()}


def state_of(
    module: nn.Module, names: Mapping[str, str], weights: Mapping[str, np.ndarray]
) -> dict[str, Tensor]:
    """A state dict for one of our modules from the original's parameters.

    Raises
    ------
    ValueError
        If a parameter is missing or has another size than ours.
    """
    _check_present(names.values(), weights)
    wanted = module.state_dict()
    state = {}
    for ours, theirs in names.items():
        array = np.array(weights[theirs], dtype=np.float64)
        if theirs.endswith(".kernel"):
            array = array.swapaxes(-1, -2)
        if array.ndim > wanted[ours].ndim and 1 in (len(array), array.shape[-1]):
            array = array.squeeze(0 if len(array) == 1 else -1)
        if ours in _ELEMENT_TABLES:
            missing = len(wanted[ours]) - len(array)
            rows = ((0, max(0, missing)),) + ((0, 0),) * (array.ndim - 1)
            array = np.pad(array, rows, constant_values=_ELEMENT_TABLES[ours])
        if array.shape != tuple(wanted[ours].shape):
            raise ValueError(
                f"the checkpoint's {theirs!r} has shape {array.shape}, but the configuration "
                f"asks for {tuple(wanted[ours].shape)}"
            )
        state[ours] = torch.from_numpy(np.ascontiguousarray(array))
    return state


def num_elements(names: Mapping[str, str], weights: Mapping[str, np.ndarray]) -> int:
    """Rows of the shortest table by element: atomic numbers below it are known."""
    return min(len(weights[names[table]]) for table in _ELEMENT_TABLES if table in names)


def zbl_state(root: str, weights: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Our state dict of the ZBL repulsion from the original's parameters."""
    paths = zbl_names(root)
    _check_present((path for group in paths.values() for path in group), weights)
    return {
        ours: torch.from_numpy(np.concatenate([weights[path] for path in group])).reshape(
            () if len(group) == 1 else (-1,)
        )
        for ours, group in paths.items()
    }


def _check_present(names: Iterable[str], weights: Mapping[str, np.ndarray]) -> None:
    missing = sorted(set(names) - set(weights))
    if missing:
        raise ValueError(f"the checkpoint lacks {len(missing)} parameters, first {missing[0]!r}")
