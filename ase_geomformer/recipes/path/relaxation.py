"""Optimization of a band."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ase import Atoms
from ase.mep.neb import NEBOptimizer
from ase.optimize import FIRE

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.recipes.interpolation import is_free_molecule
from ase_geomformer.recipes.path.band import Band, BandBroken
from ase_geomformer.recipes.path.settings import NEBSettings
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.report import Advance

IMAGES_FILE = "images.traj"
# Where the images keep the step that they are of.
STEP_KEY = "neb_step"

OPTIMIZERS: dict[str, Callable[..., Any]] = {"fire": FIRE, "ode": NEBOptimizer}


@dataclass(eq=False)
class BandRelaxation:
    """A band under optimization.

    Attributes
    ----------
    images : list of ase.Atoms
        Both ends included; they are changed.
    evaluate : Evaluator
    settings : NEBSettings
    folder : RunFolder
        Where the images are written.
    step : int
        Steps made, those before a resumption included.
    history : list of float
        Largest force on any image at each step, eV/Å.
    """

    images: list[Atoms]
    evaluate: Evaluator
    settings: NEBSettings
    folder: RunFolder
    step: int
    history: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.band = Band(
            self.images,
            self.evaluate,
            spring=self.settings.spring_eV_per_A2,
            align=is_free_molecule(self.images[0]),
        )
        self.good = self.band.get_positions()

    def optimize(self, advance: Advance) -> str:
        """Relax the band, first without climbing; return why it stopped early, if it did."""
        settings, band = self.settings, self.band
        phases = [(False, settings.fmax)]
        if settings.climb:
            phases = [(False, max(settings.fmax, settings.climb_below_eV_per_A)),
                      (True, settings.fmax)]  # fmt: skip
        try:
            for climb, goal in phases:
                band.climb = climb
                self._phase(goal, advance)
        except BandBroken as broken:
            band.set_positions(self.good)
            return f"stopped at step {self.step}: {broken}"
        except KeyboardInterrupt:
            return f"interrupted at step {self.step}"
        finally:
            # The forces that count are those of the last images, however the optimizer ended.
            band.get_forces()
            band.update(ends=True)
            self.save()
        return ""

    def _phase(self, goal: float, advance: Advance) -> None:
        settings, first = self.settings, self.step
        if first >= settings.steps:
            return
        with OPTIMIZERS[settings.optimizer](self.band, logfile=None) as optimizer:

            def observe() -> None:
                self.step = first + optimizer.nsteps
                if self.history and optimizer.nsteps == 0:
                    return
                self.good = self.band.get_positions()
                self.history.append(self.band.get_residual())
                advance(self.step, f"{self.history[-1]:.2e} eV/Å")
                if self.step % settings.checkpoint_interval == 0:
                    self.save()

            optimizer.attach(observe)
            optimizer.run(fmax=goal, steps=settings.steps - first)

    def save(self) -> None:
        """Write the images, from which a run resumes."""
        for image in self.band.images:
            image.info[STEP_KEY] = self.step
        self.folder.save_atoms(IMAGES_FILE, self.band.images)
