"""The way to a saddle point, step by step, with checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from ase import Atoms

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.recipes.constraints import FreeDirections
from ase_geomformer.recipes.interpolation import interpolated
from ase_geomformer.recipes.modes.derivatives import curvature
from ase_geomformer.recipes.modes.normal_modes import normal_modes
from ase_geomformer.recipes.transition_state.optimizers import CLIMBERS
from ase_geomformer.recipes.transition_state.refinement import Saddle, refine_saddle, signed
from ase_geomformer.recipes.transition_state.settings import SaddleSettings
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.report import Advance

SEARCH_FILE = "search.npz"
# What atoms do here, for messages about constraints.
CLIMB = "move to a saddle point"
# Atoms that can move up to which the Hessian of every step is affordable.
SMALL = 60
# eV/Å; below it the dimer's result is refined with the Hessian, which needs fewer steps there.
# Sella has a Hessian of its own, and goes to the end.
HANDED_OVER = {"dimer": 0.05, "sella": 0.0}

# Structures between two ends, of which the highest is where the search starts.
BETWEEN = 9
# eV; a search that climbs higher has left all valleys.
HIGHEST = 50.0


class RanAway(Exception):
    """A search climbed a wall."""


@dataclass(eq=False)
class Search:
    """A search under way.

    Attributes
    ----------
    atoms : ase.Atoms
        The structure now; it is changed.
    evaluate : Evaluator
    settings : SaddleSettings
    folder : RunFolder
    towards : ase.Atoms or None
        The structure to move towards.
    direction : array (N, 3) or None
        Uphill; chosen at the start.
    positions, energies, fmax : list
        Of all steps.
    """

    atoms: Atoms
    evaluate: Evaluator
    settings: SaddleSettings
    folder: RunFolder
    advance: Advance
    towards: Atoms | None = None
    direction: np.ndarray | None = None
    positions: list[np.ndarray] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)
    fmax: list[float] = field(default_factory=list)

    @property
    def free(self) -> FreeDirections:
        """Where the atoms may go."""
        return FreeDirections.of(self.atoms, CLIMB)

    @property
    def method(self) -> str:
        """How the search is made."""
        if self.settings.method != "auto":
            return self.settings.method
        return "hessian" if len(self.free.free_atoms) <= SMALL else "dimer"

    @property
    def steps_left(self) -> int:
        """How many steps may still be made."""
        displaced = bool(self.positions) and not np.array_equal(
            self.positions[-1], self.atoms.positions
        )
        return max(self.settings.steps - len(self.energies) + 1 - displaced, 0)

    def run(self) -> Saddle:
        """Go to the saddle point, or as far as the steps allow."""
        if not self.energies:
            self._begin()
        if self.method in CLIMBERS:
            goal = max(HANDED_OVER[self.method], self.settings.fmax)
            if len(self.fmax) == 1 or self.fmax[-1] > goal:
                self._climb(goal)
        saddle = refine_saddle(
            self.atoms.copy(),
            self.evaluate,
            fmax=self.settings.fmax,
            steps=self.steps_left,
            direction=self.direction,
            method=self.settings.hessian,
            step_A=self.settings.step_A,
            check_modes=self.settings.vibrational_check,
            maxstep_A=self.settings.maxstep_A,
            observe=self._observe,
        )
        self.save()
        return replace(saddle, moved_A=self._moved())

    def resume(self) -> None:
        """Take up the search where its checkpoint left it, if there is one."""
        count = len(self.atoms)
        kept = self.folder.load_arrays(
            SEARCH_FILE,
            {
                "positions_A": (-1, count, 3),
                "energies_eV": (-1,),
                "fmax_eV_per_A": (-1,),
                "direction": (count, 3),
            },
        )
        if not kept:
            return
        self.positions, self.direction = list(kept["positions_A"]), kept["direction"]
        self.energies = kept["energies_eV"].tolist()
        self.fmax = kept["fmax_eV_per_A"].tolist()
        self.atoms.positions = self.positions[-1]

    def as_it_is(self) -> Saddle:
        """The last structure, as a search that did not arrive."""
        steps = len(self.energies) - 1
        return Saddle(
            self.atoms, self.energies[-1], self.fmax[-1], steps, False, moved_A=self._moved()
        )

    def _moved(self) -> float:
        """Largest distance in Å of an atom from where the search started."""
        moved = self.positions[-1] - self.positions[0]
        return float(np.linalg.norm(moved, axis=1).max())

    def save(self) -> None:
        """Write the checkpoint."""
        if self.direction is None or not self.positions:
            return
        self.folder.save_arrays(
            SEARCH_FILE,
            {
                "positions_A": np.array(self.positions),
                "energies_eV": np.array(self.energies),
                "fmax_eV_per_A": np.array(self.fmax),
                "direction": self.direction,
            },
        )

    def _begin(self) -> None:
        """Choose the direction, and go a first way along it."""
        (found,) = self.evaluate([self.atoms], ("energy", "forces"))
        forces = self.free.displacements(self.free.along(found["forces"]))
        largest = float(np.linalg.norm(forces, axis=1).max())
        self._observe(self.atoms, float(found["energy"]), largest, None)
        if self.towards is None:
            self._follow_mode()
        else:
            self._go_to_the_top(self.towards)

    def _follow_mode(self) -> None:
        """Take the direction of a vibration, and leave the minimum along it, if this is one."""
        matrix, _ = curvature(
            self.evaluate, self.atoms, method=self.settings.hessian, step_A=self.settings.step_A
        )
        modes, number = normal_modes(self.atoms, matrix), self.settings.mode
        if number > len(modes.vectors):
            raise ValueError(
                f"mode = {number} must be at most {len(modes.vectors)}, the number of vibrations"
            )
        self.direction = signed(modes.vectors[number - 1])
        if modes.frequencies_per_cm[number - 1] > 0 and self.settings.steps > 0:
            longest = np.linalg.norm(self.direction, axis=1).max()
            self.atoms.positions += self.settings.displacement_A / longest * self.direction

    def _go_to_the_top(self, towards: Atoms) -> None:
        """Go to the highest of the structures between this one and another, along their path."""
        images = interpolated(self.atoms, towards, BETWEEN + 2)
        energies = [one["energy"] for one in self.evaluate(images[1:-1], ("energy",))]
        top = 1 + int(np.argmax(energies))
        way = images[top + 1].positions - images[top - 1].positions
        self.direction = way / np.linalg.norm(way)
        if self.settings.steps > 0:
            self.atoms.positions = images[top].positions

    def _climb(self, goal: float) -> None:
        """Move by the optimizer of another package, until forces are below the goal (eV/Å)."""
        assert self.direction is not None
        moved = self.atoms.copy()
        moved.calc = self.evaluate.calculator
        make = CLIMBERS[self.method]  # type: ignore[index]
        climber, way_up = make(moved, self.direction, self.settings.maxstep_A)
        with climber as optimizer:

            def observe() -> None:
                forces = moved.get_forces()
                largest = float(np.linalg.norm(forces, axis=1).max())
                self._observe(moved, float(moved.get_potential_energy()), largest, way_up())

            optimizer.attach(observe)
            optimizer.run(fmax=goal, steps=self.steps_left)

    def _observe(
        self, atoms: Atoms, energy: float, largest: float, direction: np.ndarray | None
    ) -> None:
        self.atoms.positions = atoms.positions
        if direction is not None:
            self.direction = direction
        if self.positions and np.array_equal(self.positions[-1], atoms.positions):
            return  # where one method takes over from another, or a run is resumed
        self.positions.append(atoms.positions.copy())
        self.energies.append(energy)
        self.fmax.append(largest)
        if not energy - self.energies[0] < HIGHEST:
            raise RanAway(
                f"the energy rose by more than {HIGHEST:g} eV without a saddle point on the way; "
                "start from another structure, mode or direction"
            )
        step = len(self.energies) - 1
        self.advance(step, f"{largest:.2e} eV/Å")
        if step % self.settings.checkpoint_interval == 0:
            self.save()
