"""A structure under relaxation, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixSymmetry

from ase_geomformer.graph.structure import geometry
from ase_geomformer.recipes.constraints import exact
from ase_geomformer.recipes.relaxation import optimizers
from ase_geomformer.recipes.relaxation.cell import cell_filter
from ase_geomformer.recipes.relaxation.damage import blow_up, damage
from ase_geomformer.recipes.relaxation.result import RelaxResult
from ase_geomformer.recipes.relaxation.settings import RelaxSettings
from ase_geomformer.recipes.symmetry import space_group, symmetry_dataset


class Relaxation:
    """One structure on its way to a minimum.

    The atoms need a calculator before the first :meth:`observe`; between that and the next
    :meth:`advance`, optimizers without a line search evaluate nothing else.

    Parameters
    ----------
    atoms : ase.Atoms
        Left as they are; their constraints are honoured.
    settings : RelaxSettings
    batched : bool
        Whether the optimizer must be one that evaluates once in a step.

    Raises
    ------
    ValueError
        If the structure is empty or not finite, or it and the settings do not fit each other.
    """

    def __init__(self, atoms: Atoms, settings: RelaxSettings, *, batched: bool = False) -> None:
        geometry(atoms)  # refuses no atoms, and positions that are not finite
        self.settings, self.start = settings, atoms
        self.atoms = atoms.copy()
        self.constraints = list(self.atoms.constraints)
        self.atoms.set_constraint(exact(self.constraints))
        if settings.keep_symmetry:
            self._fix_symmetry()
        self.filter = cell_filter(self.atoms, settings)
        self.optimizer_name = optimizers.choose(settings.optimizer, atoms, batched=batched)
        coordinates = self.atoms if self.filter is None else self.filter
        self._optimizer = optimizers.make(self.optimizer_name, coordinates, settings)
        self.history: dict[str, list[float]] = {}
        self.exploded: str | None = None
        self.gave_up: str | None = None

    def _fix_symmetry(self) -> None:
        if symmetry_dataset(self.atoms, self.settings.symprec_A) is None:
            raise ValueError(
                f"keep_symmetry needs a crystal, and {self.atoms.symbols} has pbc = "
                f"{self.atoms.pbc.tolist()} and a cell of rank {self.atoms.cell.rank}"
            )
        kept = FixSymmetry(self.atoms, symprec=self.settings.symprec_A)
        self.atoms.set_constraint([*self.atoms.constraints, kept])

    @property
    def steps(self) -> int:
        return len(self.history["energy_eV"]) - 1

    @property
    def fmax(self) -> float:
        return self.history["fmax_eV_per_A"][-1]

    @property
    def smax_GPa(self) -> float | None:
        return self.history["smax_GPa"][-1] if self.filter is not None else None

    @property
    def converged(self) -> bool:
        """Whether the last observed forces and stress are small enough.

        Those of an exploded structure are no sign of a minimum: they vanish out of reach.
        """
        small = self.fmax < self.settings.fmax and self.exploded is None
        stress = self.smax_GPa
        return small and (stress is None or stress < self.settings.smax_GPa)

    @property
    def done(self) -> bool:
        """Whether there is nothing more to do after the last observation."""
        ended = self.exploded or self.gave_up or self.converged
        return bool(ended) or self.steps >= self.settings.steps

    def observe(self) -> None:
        """Note energy, forces and stress of the present structure."""
        energy, forces = float(self.atoms.get_potential_energy()), self.atoms.get_forces()
        self._note("energy_eV", energy)
        self._note("fmax_eV_per_A", float(np.linalg.norm(forces, axis=1).max()))
        self.exploded = blow_up(self.start, self.atoms, energy, forces)
        if self.filter is not None:
            stress = np.nan if self.exploded else self._residual_stress()
            self._note("smax_GPa", float(np.abs(stress).max() / units.GPa))
            self._note("volume_A3", float(self.atoms.get_volume()))

    def _residual_stress(self) -> Any:
        assert self.filter is not None
        self.filter.get_forces()
        return self.filter.stress

    def _note(self, name: str, value: float) -> None:
        self.history.setdefault(name, []).append(value)

    def advance(self) -> None:
        """Make a step, unless the optimizer finds none."""
        try:
            self._optimizer.step()
        except RuntimeError as error:  # line searches say so when rounding leaves no way down
            self.gave_up = f"the optimizer {self.optimizer_name} gave up: {error}"
        self._optimizer.nsteps += 1

    def frame(self) -> Atoms:
        """The present structure with its results, as they are without constraints."""
        frame = self.atoms.copy()
        frame.set_constraint(self.constraints)
        frame.calc = SinglePointCalculator(frame, **_results(self.atoms, self.filter is not None))
        return frame

    def result(self, wall_time: float, output: Any = None) -> RelaxResult:
        """What has come of it so far."""
        end = self.frame()
        harm = self.exploded or damage(self.start, end)
        if harm is not None and harm.startswith("exploded"):
            self.exploded = harm
        return RelaxResult(
            converged=self.converged,
            reason=self._reason(harm),
            wall_time=wall_time,
            output=output,
            atoms=end,
            steps=self.steps,
            optimizer=self.optimizer_name,
            energy=self.history["energy_eV"][-1],
            fmax=self.fmax,
            smax_GPa=self.smax_GPa,
            damage=harm,
            space_group_before=space_group(self.start, self.settings.symprec_A),
            space_group_after=space_group(end, self.settings.symprec_A),
            history={name: np.array(values) for name, values in self.history.items()},
        )

    def _reason(self, harm: str | None) -> str:
        state = f"the largest force is {self.fmax:.3g} eV/Å"
        if self.smax_GPa is not None:
            state += f" and the largest stress {self.smax_GPa:.3g} GPa"
        if self.gave_up is not None:
            state = f"{self.gave_up}; {state}"
        text = f"{state} after {self.steps} steps"
        if not self.converged and self.steps >= self.settings.steps:
            text += ", the maximum"
        return text if harm is None else f"{harm}; {text}"


def _results(atoms: Atoms, stress: bool) -> dict[str, Any]:
    names = ("energy", "forces", "stress") if stress else ("energy", "forces")
    calculator: Any = atoms.calc
    return {name: calculator.get_property(name, atoms) for name in names}
