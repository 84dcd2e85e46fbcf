"""The first labels: isolated atoms, the way to a minimum, thermal displacements and strains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import BFGS
from ase.stress import full_3x3_to_voigt_6_stress

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.exploration import bare
from ase_geomformer.learning.modes import calibrated_amplitude
from ase_geomformer.learning.plan import FEWEST_SAMPLES, PILOTS, fewest_initial_labels
from ase_geomformer.learning.sample_settings import SampleSettings
from ase_geomformer.learning.sampling import isolated_atoms, strained, thermal
from ase_geomformer.learning.settings import LearnSettings

# Labels structures of one origin: frames in order, None where the teacher failed.
Labels = Callable[[Sequence[Atoms], str], list[Frame | None]]
# Convergence of the relaxation, eV/Å: the minimum is only where displacements start.
FMAX = 0.1
# Temperatures of the displacements, relative to that of use; the highest one comes to them.
COOLER = (1 / 3, 2 / 3, 1.0)
# Amplitude of the pilots: small, so that the energy grows with its square.
PILOT_AMPLITUDE = 0.5


@dataclass(frozen=True, eq=False)
class Initial:
    """First labels of a run.

    Attributes
    ----------
    frames : list of Frame
    minimum : ase.Atoms
        Where the relaxation ended, with the constraints of the structure.
    amplitude : float
        Factor of the thermal displacements.
    """

    frames: list[Frame]
    minimum: Atoms
    amplitude: float


class TeacherFailed(ValueError):
    """The teacher cannot label the structure itself, or next to none around it."""


class Labelled(Calculator):
    """ASE calculator of labels: each structure that is asked for is labelled and kept."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, labels: Labels, origin: str) -> None:
        super().__init__()
        self.labels, self.origin, self.frames = labels, origin, list[Frame]()

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Have the structure labelled."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        (frame,) = self.labels([bare(self.atoms)], self.origin)
        if frame is None:
            raise TeacherFailed("the teacher failed")
        self.frames.append(frame)
        results: dict[str, Any] = {"energy": frame.energy, "forces": frame.forces}
        if frame.stress is not None:
            results["stress"] = full_3x3_to_voigt_6_stress(frame.stress)
        self.results.update(results)


def first_labels(
    atoms: Atoms, settings: LearnSettings, labels: Labels, number: int, most: int | None = None
) -> Initial:
    """Label about ``number`` structures around the one to learn.

    Parameters
    ----------
    atoms : ase.Atoms
    settings : LearnSettings
    labels : callable
        Labels structures.
    number : int
        Structures to label; more where the relaxation takes many of them.
    most : int, optional
        Maximum number of structures, which shortens the relaxation; no limit if left out.

    Raises
    ------
    TeacherFailed
        If the teacher cannot label the structure.
    """
    rng = np.random.default_rng([settings.seed, 0])
    atomic = labels(isolated_atoms(atoms), "isolated")
    frames = [frame for frame in atomic if frame is not None]
    steps = settings.relaxation_steps
    if most is not None:
        steps = min(steps, max(0, most - fewest_initial_labels(atoms)))
    path, minimum = relaxed(atoms, steps, labels)
    frames += path
    sampled = SampleSettings(
        temperatures_K=[settings.temperature_K], amplitude=PILOT_AMPLITUDE, seed=settings.seed
    )
    pilots = labels(thermal(minimum, PILOTS, sampled, rng), "modes")
    found = [frame for frame in pilots if frame is not None]
    if not found:
        raise TeacherFailed("the teacher failed for all structures next to the minimum")
    energies = np.array([float(frame.energy or 0.0) for frame in found])
    lowest = min(float(frame.energy or 0.0) for frame in path)
    amplitude = calibrated_amplitude(
        energies, lowest, len(atoms), settings.temperature_K, PILOT_AMPLITUDE
    )
    frames += found
    left = max(FEWEST_SAMPLES, number - len(atomic) - len(path) - PILOTS)
    sampled = SampleSettings(
        temperatures_K=[settings.temperature_K * part for part in COOLER] + [settings.hot_K],
        amplitude=amplitude,
        max_strain=settings.max_strain,
        seed=settings.seed,
    )
    strains = strained(minimum, left // 2, sampled, rng)
    modes = thermal(minimum, left - len(strains), sampled, rng)
    for structures, origin in ((strains, "strains"), (modes, "modes")):
        frames += [one for one in labels(structures, origin) if one is not None]
    return Initial(unique(frames), minimum, amplitude)


def relaxed(atoms: Atoms, steps: int, labels: Labels) -> tuple[list[Frame], Atoms]:
    """Labels on the way to a minimum, and the minimum, or where the steps ended."""
    moving = atoms.copy()
    moving.calc = calculator = Labelled(labels, "relaxation")
    try:
        moving.get_forces()
    except TeacherFailed as error:
        raise TeacherFailed(f"{error} for the structure itself, {atoms.symbols}") from None
    last = moving.get_positions()
    try:
        for _ in BFGS(moving, logfile=None).irun(fmax=FMAX, steps=steps):
            last = moving.get_positions()
    except TeacherFailed:
        moving.positions = last  # a failure on the way leaves what there is
    minimum = moving.copy()
    minimum.calc = None
    return unique(calculator.frames), minimum


def unique(frames: Sequence[Frame]) -> list[Frame]:
    """Each frame once, in order."""
    return list({id(frame): frame for frame in frames}.values())
