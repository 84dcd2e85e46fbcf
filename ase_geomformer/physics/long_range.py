"""Which long-range sums a structure gets: what its boundaries ask for, or what the user says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ase_geomformer.physics.ewald import with_ewald_sum
from ase_geomformer.physics.far import (
    LongRangeCutoff,
    check_long_range_cutoff,
    with_long_range_cutoff,
)

if TYPE_CHECKING:
    from ase import Atoms

# Whether a structure is periodic along each of its lattice vectors.
Boundaries = tuple[bool, bool, bool]
Terms = Mapping[str, Mapping[str, Any]]
MODES = ("auto", "published")
# Names of the terms that it is about.
LONG_RANGE_TERMS = frozenset({"electrostatics", "ewald", "dispersion"})
# Å, of what a structure with periodic boundaries needs a cutoff for and the potential has none.
USUAL_CUTOFF = 12.0


def boundaries_of(atoms: Atoms) -> Boundaries:
    """The boundaries of a structure, as plain truth values."""
    first, second, third = atoms.pbc.tolist()
    return first, second, third


@dataclass(frozen=True)
class LongRange:
    """How charges and dispersion are summed over.

    Attributes
    ----------
    mode
        ``auto`` sums charges over all pairs of an open structure and over all images of one that
        is periodic in two or three directions (Ewald); of one that is periodic along one direction
        up to the cutoff, in the ``neutral`` form of :mod:`~ase_geomformer.physics.electrostatics`.
        Dispersion has no cutoff in open structures, elsewhere that of the potential, before which
        it is smoothly switched off. ``published`` takes the potential's terms as they are on its
        card.
    cutoff
        Å, for electrostatics and dispersion, whatever the boundaries; with ``auto`` in the
        ``neutral`` form, with ``published`` in the potential's own. None for no cutoff, which only
        open structures can have. ``auto`` leaves it to the mode.
    ewald
        Sum charges over all images, whatever the mode, which only fully periodic structures have.
    """

    mode: Literal["auto", "published"] = "auto"
    cutoff: LongRangeCutoff = "auto"
    ewald: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"long_range must be auto or published, not {self.mode!r}")
        if self.cutoff != "auto":
            check_long_range_cutoff(self.cutoff)

    @property
    def is_fixed(self) -> bool:
        """Whether all structures get the same sums, whatever their boundaries."""
        return self.ewald or self.mode == "published" or self.cutoff != "auto"

    def fixed_terms(self, terms: Terms) -> dict[str, dict[str, Any]]:
        """Settings of energy terms that hold whatever the boundaries, as far as there are such.

        Raises
        ------
        ValueError
            As :meth:`terms`.
        """
        found = {name: dict(settings) for name, settings in terms.items()}
        if self.cutoff != "auto":
            found = with_long_range_cutoff(found, self.cutoff)
            if self.mode == "auto" and "electrostatics" in found:
                found["electrostatics"]["truncation"] = "neutral"
        return with_ewald_sum(found) if self.ewald else found

    def terms(self, terms: Terms, boundaries: Boundaries) -> dict[str, dict[str, Any]]:
        """Settings of energy terms by name, as structures of such boundaries need them.

        Raises
        ------
        ValueError
            If a cutoff or an Ewald sum is asked for and there is no term it could act on.
        """
        found = self.fixed_terms(terms)
        if self.is_fixed:
            return found
        return {
            ours: settled
            for name, settings in found.items()
            for ours, settled in [_fitting(name, settings, boundaries)]
        }


def neutralised(terms: Terms) -> dict[str, dict[str, Any]]:
    """Settings of terms to train with: truncated sums in the form that is close to whole ones.

    A potential trained further with the ``published`` form would learn to make up for what that
    form lacks, and be wrong with the sums it is evaluated with.
    """
    return {
        name: {**settings, "truncation": "neutral"} if name == "electrostatics" else dict(settings)
        for name, settings in terms.items()
    }


def _fitting(
    name: str, settings: dict[str, Any], boundaries: Boundaries
) -> tuple[str, dict[str, Any]]:
    """Name and settings of one term for such boundaries."""
    if name == "dispersion":
        return name, {**settings, "long_range_cutoff": _cutoff(settings, boundaries)}
    if name not in ("electrostatics", "ewald"):
        return name, settings
    if sum(boundaries) >= 2:
        own = settings if name == "ewald" else {"damping_length": settings["damping_length"]}
        open_axis = None if all(boundaries) else boundaries.index(False)
        return "ewald", {**own, "open_axis": open_axis}
    return "electrostatics", {
        "damping_length": settings["damping_length"],
        "long_range_cutoff": _cutoff(settings, boundaries),
        "truncation": "neutral",
    }


def _cutoff(settings: Mapping[str, Any], boundaries: Boundaries) -> float | None:
    if not any(boundaries):
        return None
    given = settings.get("long_range_cutoff")
    return USUAL_CUTOFF if given is None else float(given)
