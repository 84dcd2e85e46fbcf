"""A nudged elastic band whose images are evaluated together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.calculators.singlepoint import SinglePointCalculator
from ase.mep import NEB

from ase_geomformer.evaluate import Evaluator


class BandBroken(ValueError):
    """An image has an energy or a force that is not a number."""


class Band(NEB):
    """ASE's nudged elastic band with one evaluation of all images for each step.

    Improved tangents (G. Henkelman, H. Jónsson, J. Chem. Phys. 113, 9978 (2000)); the climbing
    image is that of G. Henkelman, B. P. Uberuaga, H. Jónsson, J. Chem. Phys. 113, 9901 (2000).

    Parameters
    ----------
    images : sequence of ase.Atoms
        Both ends included; they are changed.
    evaluate : Evaluator
    spring : float
        eV/Å^2
    align : bool
        Keep images from turning and moving as a whole, as a free molecule could (M. Melander, K.
        Laasonen, H. Jónsson, J. Chem. Theory Comput. 11, 1055 (2015)).

    Attributes
    ----------
    image_fmax : array, shape (images - 2,)
        Largest force on an atom of each image between the ends, springs included, eV/Å.
    batches, evaluations : int
        Calls of the evaluator so far, and structures evaluated in them.
    """

    def __init__(
        self, images: Sequence[Atoms], evaluate: Evaluator, *, spring: float, align: bool
    ) -> None:
        super().__init__(list(images), k=spring, climb=False, method="improvedtangent")
        self.evaluate, self.align = evaluate, align
        self.batches = self.evaluations = 0
        self.image_fmax = np.full(self.nimages - 2, np.inf)
        self._aligned = np.zeros((0, 3))
        self.update(ends=True)

    def update(self, *, ends: bool = False) -> None:
        """Evaluate the images that have moved, all in one call; the ends keep their energies."""
        last = self.images[-1]
        if not ends and _is_stale(last):  # turned as a whole, which costs no energy
            energy = last.calc.results["energy"]
            last.calc = SinglePointCalculator(last, energy=energy)
        chosen = self.images if ends else self.images[1:-1]
        stale = [
            image for image in chosen if _is_stale(image) or "forces" not in image.calc.results
        ]
        if not stale:
            return
        results = self.evaluate(stale, ("energy", "forces"))
        self.batches += 1
        self.evaluations += len(stale)
        for image, found in zip(stale, results, strict=True):
            if not (np.isfinite(found["energy"]) and np.isfinite(found["forces"]).all()):
                raise BandBroken("an image has an energy or forces that are not finite")
            image.calc = SinglePointCalculator(image, **found)

    def get_forces(self) -> np.ndarray:
        """Forces on the images between the ends, one below the other (M, 3)."""
        self._align()
        self.update()
        forces: np.ndarray = super().get_forces()
        sizes = np.linalg.norm(forces, axis=1).reshape(self.nimages - 2, -1)
        self.image_fmax = sizes.max(axis=1)
        return forces

    def _align(self) -> None:
        # Aligned once more, images would differ in their last digits and be evaluated again.
        if not self.align or np.array_equal(self.get_positions(), self._aligned):
            return
        for before, after in pairwise(self.images):
            minimize_rotation_and_translation(before, after)
        self._aligned = self.get_positions()

    def get_residual(self) -> float:
        """Largest force on any image; ASE's leaves the climbing one out."""
        return float(self.image_fmax.max())


def _is_stale(image: Atoms) -> bool:
    return image.calc is None or bool(image.calc.check_state(image))
