"""Result of a reaction path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.utils.forcecurve import ForceFit, fit_raw

from ase_geomformer.recipes.transition_state.refinement import Saddle
from ase_geomformer.runs.result import Entry, RecipeResult, Row


@dataclass(frozen=True, eq=False, kw_only=True)
class NEBResult(RecipeResult):
    """A reaction path.

    ``converged`` says that the forces on the band, measured after its last step, are within the
    limit, and that the saddle point, where it was looked for, is one.

    Attributes
    ----------
    images : list of ase.Atoms
        The path, ends included, with energies and forces.
    steps : int
        Steps made.
    fmax : float
        Largest force on an atom of an image, springs included, in eV/Å.
    image_fmax : array, shape (images - 2,)
        The same of each image between the ends.
    fit : ForceFit
        ASE's cubic segments through energies and slopes: ``path``, ``energies``, ``fit_path`` and
        ``fit_energies``, in Å and in eV above the initial state.
    saddle : Saddle or None
        The saddle point to which the highest image was refined.
    batches, evaluations : int
        Calls of the evaluator for the band, and structures evaluated in them.
    history : array, shape (steps + 1,)
        ``fmax`` at each step.
    """

    images: list[Atoms]
    steps: int
    fmax: float
    image_fmax: np.ndarray
    fit: ForceFit
    saddle: Saddle | None
    batches: int
    evaluations: int
    history: np.ndarray

    @property
    def reaction_energy_eV(self) -> float:
        """Energy of the final state above the initial one."""
        return float(self.fit.energies[-1])

    @property
    def highest(self) -> int:
        """Index of the highest image."""
        return int(np.argmax(self.fit.energies))

    @property
    def barrier_forward_eV(self) -> float:
        """From the initial state to the saddle point, or to the top of the fit without one."""
        if self.saddle is not None and self.saddle.converged:
            return self.saddle.energy_eV - self.images[0].get_potential_energy()
        return float(max(self.fit.fit_energies))

    @property
    def barrier_reverse_eV(self) -> float:
        """The same from the final state."""
        return self.barrier_forward_eV - self.reaction_energy_eV

    @property
    def intermediates(self) -> list[int]:
        """Images between the ends that lie lower than both neighbours."""
        energies = self.fit.energies
        return [
            i
            for i in range(1, len(energies) - 1)
            if energies[i] < min(energies[i - 1], energies[i + 1])
        ]

    def summary(self) -> dict[str, Any]:
        found = {
            **super().summary(),
            "formula": self.images[0].get_chemical_formula(),
            "number_of_images": len(self.images),
            "steps": self.steps,
            "fmax_eV_per_A": self.fmax,
            "image_fmax_eV_per_A": self.image_fmax,
            "barrier_forward_eV": self.barrier_forward_eV,
            "barrier_reverse_eV": self.barrier_reverse_eV,
            "reaction_energy_eV": self.reaction_energy_eV,
            "fit_barrier_forward_eV": float(max(self.fit.fit_energies)),
            "highest_image": self.highest,
            "highest_image_eV": float(self.fit.energies[self.highest]),
            "intermediate_minima": self.intermediates,
            "path_A": self.fit.path,
            "energies_eV": self.fit.energies,
            "band_batches": self.batches,
            "band_evaluations": self.evaluations,
        }
        return found | ({} if self.saddle is None else {"saddle": _saddle(self.saddle)})

    def entries(self) -> list[Entry]:
        shared = {"converged": self.converged}
        found = [
            Entry(f"image {place}", image, {**shared, "image": place})
            for place, image in enumerate(self.images)
        ]
        if self.saddle is not None:
            found.append(Entry("saddle point", self.saddle.atoms, self.summary()))
        return found

    def rows(self) -> list[Row]:
        rows = [
            ("barrier", f"{self.barrier_forward_eV:.4f}", "eV"),
            ("barrier back", f"{self.barrier_reverse_eV:.4f}", "eV"),
            ("reaction energy", f"{self.reaction_energy_eV:+.4f}", "eV"),
            ("images", str(len(self.images)), ""),
            ("steps", str(self.steps), ""),
            ("largest force", f"{self.fmax:.2e}", "eV/Å"),
        ]
        if self.saddle is not None and self.saddle.modes is not None:
            modes = self.saddle.modes
            imaginary = modes.frequencies_per_cm[modes.imaginary]
            listed = ", ".join(f"{-value:.0f}i" for value in imaginary)
            rows.append(("imaginary modes", listed, "cm^-1"))
        return rows


def _saddle(saddle: Saddle) -> dict[str, Any]:
    modes = saddle.modes
    return {
        "converged": saddle.converged,
        "steps": saddle.steps,
        "energy_eV": saddle.energy_eV,
        "fmax_eV_per_A": saddle.fmax_eV_per_A,
        "moved_A": saddle.moved_A,
        "imaginary_per_cm": None if modes is None else modes.frequencies_per_cm[modes.imaginary],
        "is_transition_state": saddle.is_transition_state,
    }


def fit_path(images: list[Atoms]) -> ForceFit:
    """ASE's fit of images that have energies and forces and no jumps between them."""
    return fit_raw(
        [atoms.get_potential_energy() for atoms in images],
        [atoms.get_forces() for atoms in images],
        [atoms.positions for atoms in images],
    )


def tangent(images: list[Atoms], index: int) -> np.ndarray:
    """Direction of the path at an image (N, 3)."""
    before, after = images[max(index - 1, 0)], images[min(index + 1, len(images) - 1)]
    way = after.positions - before.positions
    direction: np.ndarray = way / np.linalg.norm(way)
    return direction
