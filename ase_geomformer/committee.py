"""Committees: the mean of several potentials, and how much they disagree."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.outputs import Properties, all_outputs

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.checkpoint.folder import CARD_FILE
from ase_geomformer.graph.structure import electrons
from ase_geomformer.machine.files import expanded
from ase_geomformer.potential import Potential
from ase_geomformer.runtime.locked import LockedCalculator
from ase_geomformer.runtime.prepared import PreparedPotential
from ase_geomformer.runtime.results import ASE_PROPERTIES, CHARGE_PROPERTIES
from ase_geomformer.runtime.settings import CalculatorSettings, takes_settings

Member = str | os.PathLike[str] | Potential | Calculator
SPREADS = ("energy_spread", "forces_spread")
CALIBRATION = "spread_calibration"
"""Figure of a card: what spreads of forces are to be multiplied by, for this committee."""
# What is averaged where every member gives it.
_AVERAGED = (*ASE_PROPERTIES, *CHARGE_PROPERTIES)


@takes_settings
class CommitteeCalculator(LockedCalculator):
    """ASE calculator of the mean of several potentials, with their spread.

    Potentials that were trained alike, but from different random weights or on different parts of
    the data, agree where they know the structure and differ where they do not, so that their
    spread flags structures that should be labelled (Seung et al., COLT 1992; Schran et al.,
    J. Chem. Phys. 153, 104105 (2020)). Errors that all members
    share do not show in it.

    Beside the means, every calculation gives ``energy_spread``, the sample standard deviation of
    the energies in eV, and ``forces_spread`` (N,), for each atom the root of the sample variance
    of its force vector, ``sqrt(sum_m |F_m - <F>|^2 / (M - 1))``, in eV/Å. Where the cards of all
    members give the same ``spread_calibration``, as those of ``learn`` do, ``forces_spread`` is
    multiplied by it and is the error to expect.

    Parameters
    ----------
    members : sequence of str, path, Potential or ASE calculator; or path
        At least two potentials, or a folder that contains the folders of several.
    settings : CalculatorSettings, optional
        The keywords below as one object, for members that are not calculators already; single
        keywords win over it.

    Raises
    ------
    ValueError
        If there are fewer than two members.
    FileNotFoundError
        If there is no potential of one of the names.
    """

    name = "committee"

    def __init__(
        self,
        members: Sequence[Member] | str | os.PathLike[str],
        settings: CalculatorSettings | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__()
        settings = (settings or CalculatorSettings()).updated(keywords)
        given = folders(members) if isinstance(members, str | os.PathLike) else list(members)
        if len(given) < 2:
            raise ValueError(f"a committee needs at least two potentials, not {members!r}")
        self.members: list[Calculator] = [
            member if isinstance(member, Calculator) else PotentialCalculator(member, settings)
            for member in given
        ]
        common = set.intersection(*(set(member.implemented_properties) for member in self.members))
        self._shared = [name for name in _AVERAGED if name in common]
        self.implemented_properties = [*self._shared, *SPREADS]
        self.calibration = _calibration(self.members)
        self.parameters.update(
            members=[_describe(member) for member in self.members],
            **{key: self.members[0].parameters.get(key) for key in ("device", "dtype")},
        )

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation, total charge and spin included."""
        found = list(super().check_state(atoms, tol))
        moved = self.atoms is not None and electrons(self.atoms) != electrons(atoms)
        return [*found, "info"] if moved else found

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Ask every member, and store means and spreads."""
        super().calculate(atoms, properties, system_changes)
        wanted = {name for name in properties if name not in SPREADS} | {"energy", "forces"}
        answers = [self._ask(member, wanted) for member in self.members]
        for name in self._shared:
            if all(name in answer for answer in answers):
                mean = np.array([answer[name] for answer in answers]).mean(axis=0)
                self.results[name] = float(mean) if mean.ndim == 0 else mean
        energies = np.array([answer["energy"] for answer in answers])
        forces = np.array([answer["forces"] for answer in answers])
        self.results["energy_spread"] = float(energies.std(ddof=1))
        variances = forces.var(axis=0, ddof=1).sum(axis=1)
        self.results["forces_spread"] = self.calibration * np.sqrt(variances)

    def _ask(self, member: Calculator, wanted: set[str]) -> dict[str, Any]:
        """What a member gives for the present structure."""
        # Forces, which give all, before energy.
        answer = {name: member.get_property(name, self.atoms) for name in sorted(wanted)[::-1]}
        # What came along with what was asked for costs nothing, such as stress.
        for name in set(self._shared) - wanted:
            value = member.get_property(name, self.atoms, allow_calculation=False)
            if value is not None:
                answer[name] = value
        return answer

    def export_properties(self) -> Properties:
        """Results under ASE's names, without the spreads."""
        return Properties(
            {name: self.results[name] for name in self.results if name in all_outputs}
        )

    def evaluation_of(self, atoms: Atoms) -> list[str | None]:
        """How each member of ours evaluates a structure; None for others."""
        known = (getattr(member, "evaluation_of", None) for member in self.members)
        return [one(atoms) if one else None for one in known]

    def adapted(self, change: Callable[[PreparedPotential], PreparedPotential]) -> Any:
        """A committee of members with changed potentials; itself if none of ours is changed."""
        members = [
            member.adapted(change) if isinstance(member, PotentialCalculator) else member
            for member in self.members
        ]
        same = all(new is old for new, old in zip(members, self.members, strict=True))
        return self if same else type(self)(members)

    def reset(self) -> None:
        """Forget results, the members' too."""
        super().reset()
        for member in getattr(self, "members", ()):
            member.reset()


def folders(path: str | os.PathLike[str]) -> list[Path]:
    """The potentials in a folder, sorted by name."""
    found = sorted(card.parent for card in expanded(path).glob(f"[!.]*/{CARD_FILE}"))
    if not found:
        raise FileNotFoundError(f"there are no potentials in the folder {os.fspath(path)!r}")
    return found


def is_committee(potential: Any) -> bool:
    """Whether it is a list, or a folder that contains potentials and is not one itself."""
    if not isinstance(potential, str | os.PathLike):
        return isinstance(potential, Sequence)
    path = expanded(potential)
    return not (path / CARD_FILE).exists() and any(path.glob(f"[!.]*/{CARD_FILE}"))


def _calibration(members: Sequence[Calculator]) -> float:
    """The factor of the spread that all cards agree on; 1 otherwise."""
    cards = [getattr(getattr(member, "potential", None), "card", None) for member in members]
    told = {None if card is None else card.figures.get(CALIBRATION) for card in cards}
    (factor,) = told if len(told) == 1 else (None,)
    return 1.0 if factor is None else float(factor)


def _describe(member: Calculator) -> dict[str, Any]:
    card = getattr(getattr(member, "potential", None), "card", None)
    if card is not None:
        return {"name": card.name, "sha256": card.sha256}
    return {"name": getattr(member, "name", None) or type(member).__name__, "sha256": None}
