"""Consistency of card and weights, checked before memory is allocated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ase_geomformer.architectures.base import architecture_class
from ase_geomformer.checkpoint.allowance import Allowance
from ase_geomformer.physics import TERMS
from ase_geomformer.settings.plain import check_plain

if TYPE_CHECKING:
    from ase_geomformer.checkpoint.card import Card

# What building may take for each byte of weights, which stand in it in float64, initialised and
# copied, and besides for constants that no weight belongs to.
BUILD_BYTES_PER_BYTE, BUILD_BYTES = 32, 2**28
# eV. All-electron energies of the heaviest atoms are near 1e6, scales of forces near 1.
MOST_REFERENCE_EV, MOST_SCALE_EV = 1e9, 1e9
# A count in the settings is at most the length of some weight; these are lengths of none.
SMALL_COUNT = 64


def check_card_settings(card: Card, weights: Mapping[str, Tensor]) -> None:
    """Refuse settings of wrong types, and counts larger than any weight.

    That is before anything is built: a width of a billion would take all memory.

    Raises
    ------
    ValueError
        With the name of the setting.
    """
    check_plain(card.settings, architecture_class(card.architecture).settings_class, "settings")
    for name in card.terms.keys() & TERMS.keys():
        check_plain(card.terms[name], TERMS[name].settings_class, f"terms.{name}")
    for symbol, energy in card.reference_energies_eV.items():
        if abs(energy) > MOST_REFERENCE_EV:
            raise ValueError(f"the reference energy of {symbol} is {energy:g} eV")
    if not 0 < card.energy_scale_eV <= MOST_SCALE_EV:
        raise ValueError(
            f"energy_scale_eV is {card.energy_scale_eV:g}, not positive and at most "
            f"{MOST_SCALE_EV:g} eV"
        )
    lengths = [length for tensor in weights.values() for length in tensor.shape]
    most = max(SMALL_COUNT, len(weights), *lengths, 0)
    for name, value in card.settings.items():
        for count in value if isinstance(value, list | tuple) else [value]:
            if isinstance(count, int) and count > most:
                raise ValueError(
                    f"settings.{name} is {count:.3g}, and no weight is longer than {most}"
                )


def building(weights: Mapping[str, Tensor]) -> Allowance:
    """A ``with`` block in which only a potential of this size can be built."""
    size = sum(tensor.nbytes for tensor in weights.values())
    return Allowance(BUILD_BYTES_PER_BYTE * size + BUILD_BYTES)


def check_weights(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], dtype: torch.dtype
) -> None:
    """Refuse weights with unexpected names, shapes or dtypes, or non-finite values.

    Parameters
    ----------
    found, expected : mapping of name to Tensor
        From the file, and those of the potential that the card describes.
    dtype : torch.dtype
        Of floating weights in the file.

    Raises
    ------
    ValueError
        Naming the first that is wrong.
    """
    has = {name: _kind(tensor, tensor.dtype) for name, tensor in found.items()}
    needs = {
        name: _kind(tensor, dtype if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in expected.items()
    }
    wrong = sorted(dict(has.items() ^ needs.items()))
    if wrong:
        first = wrong[0]
        raise ValueError(
            f"{len(wrong)} weights do not fit the card's settings and dtype; the first, {first!r}, "
            f"is {has.get(first, 'absent')} where {needs.get(first, 'nothing')} is needed"
        )
    broken = [name for name, tensor in found.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise ValueError(f"weights {broken[0]!r} hold NaN or infinite values")


def _kind(tensor: Tensor, dtype: torch.dtype) -> str:
    return f"{str(dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
