"""Reaction paths: from two structures and a potential to a barrier and its files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from ase import Atoms

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.machine.bounded_structures import read_checked
from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.constraints import FreeDirections
from ase_geomformer.recipes.interpolation import interpolated
from ase_geomformer.recipes.path import figure
from ase_geomformer.recipes.path.ends import check_different, checked_path
from ase_geomformer.recipes.path.relaxation import IMAGES_FILE, STEP_KEY, BandRelaxation
from ase_geomformer.recipes.path.result import NEBResult, fit_path, tangent
from ase_geomformer.recipes.path.settings import NEBSettings
from ase_geomformer.recipes.relaxation.run import relax
from ase_geomformer.recipes.relaxation.settings import USUAL_STEPS, RelaxSettings
from ase_geomformer.recipes.transition_state.refinement import Saddle, refine_saddle
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.foreign import takes_pymatgen

SADDLE_FILE = "saddle.extxyz"
ARRAYS_FILE = "neb.npz"
FIGURE_FILE = "neb.png"
FILES = (IMAGES_FILE, SADDLE_FILE, ARRAYS_FILE, FIGURE_FILE)
# What a resumed run may ask for otherwise than before.
FREE = (
    "steps", "fmax", "climb", "climb_below_eV_per_A", "optimizer", "refine", "saddle_fmax",
    "saddle_steps", "vibrational_check", "checkpoint_interval",
)  # fmt: skip


@takes_pymatgen()
def neb(
    path: Sequence[Atoms],
    potential: PotentialLike,
    settings: NEBSettings | None = None,
    **keywords: Unpack[RunKeywords],
) -> NEBResult:
    """Find the minimum-energy path between two minima, and its barrier.

    All images are evaluated together at each step. Convergence is measured on the forces after
    the last step. The highest image is then refined to the saddle point, whose vibrations must
    have exactly one imaginary mode.

    Parameters
    ----------
    path : sequence of ase.Atoms
        The initial and the final structure, or all images of a first path. Atoms in the same
        order; left as they are. The constraints of all of them hold along the whole path.
    potential : str, path, Potential, ASE calculator or Evaluator
    settings : NEBSettings, optional
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives ``images.traj``
        (the path, with energies and forces), ``saddle.extxyz``, ``neb.npz``, ``neb.png``,
        ``settings.yaml`` and ``result.json``. A resumed run starts from the last images there,
        with a new optimizer.

    Returns
    -------
    NEBResult

    Raises
    ------
    ValueError
        If the structures are not ends of one reaction; see
        :func:`~ase_geomformer.recipes.path.ends.checked_path`.
    FileExistsError
        If the output folder is not empty.
    """
    settings = settings or NEBSettings()
    run = Run(potential, settings, **keywords)
    given = checked_path(path, settings)
    check_different(given[0], given[-1])
    FreeDirections.of(given[0], "move along a path")
    run.evaluator([given[0], given[-1]], ("energy", "forces"))  # what is wrong comes out now
    run.foresee([given[0]] * settings.images, min(settings.steps, USUAL_STEPS))
    folder = run.start(FILES, kept=(IMAGES_FILE,), free=FREE)
    images, first_step = _images(given, run.evaluator, settings, folder)
    relaxation = BandRelaxation(images, run.evaluator, settings, folder, first_step)
    with run.bar("neb", settings.steps, first_step) as advance:
        reason = relaxation.optimize(advance)
    result = _result(run, relaxation, reason)
    _write(folder, result)
    return run.finish(result, f"Reaction path of {images[0].get_chemical_formula()}")


def _images(
    given: list[Atoms], evaluate: Evaluator, settings: NEBSettings, folder: RunFolder
) -> tuple[list[Atoms], int]:
    """The initial images, and their step."""
    file = folder.file(IMAGES_FILE)
    if folder.resumed and file is not None and file.exists():
        images = read_checked(file)
        if any(image.numbers.tolist() != given[0].numbers.tolist() for image in images):
            raise ValueError(
                f"the run to resume has {images[0].symbols}, and the structures given have "
                f"{given[0].symbols}; give the same structures, or start a new run"
            )
        step = images[0].info.get(STEP_KEY, 0)
        if type(step) is not int or step < 0:
            raise ValueError(f"{file} has {STEP_KEY} = {step!r}, not a number of steps")
        for image in images:
            image.calc = None
        return images, step
    ends = [given[0], given[-1]]
    if settings.relax:
        wanted = RelaxSettings(fmax=settings.ends_fmax)
        for name, end in zip(("initial", "final"), ends, strict=True):
            found = relax(end, evaluate, wanted, progress=False)
            if not found.converged:
                raise ValueError(
                    f"the {name} structure could not be relaxed: {found.reason}; give a minimum, "
                    "or set relax to false"
                )
            end.positions = found.atoms.positions
        given = checked_path(given, settings)
        check_different(given[0], given[-1], " minimum once they are relaxed")
    if len(given) > 2:
        return given, 0
    return interpolated(given[0], given[-1], settings.images, settings.interpolation), 0


def _result(run: Run, relaxation: BandRelaxation, reason: str) -> NEBResult:
    settings, band, steps = relaxation.settings, relaxation.band, relaxation.step
    images, fmax = band.images, band.get_residual()
    fit = fit_path(images)
    saddle = None
    converged = not reason and fmax <= settings.fmax
    if not reason:
        reason = (
            f"the largest force on the band is {fmax:.2e} eV/Å after {steps} steps"
            if converged
            else f"the largest force on the band is {fmax:.2e} eV/Å after {steps} steps, above "
            f"fmax = {settings.fmax:g}"
        )
    top = int(np.argmax(fit.energies))
    if top in (0, len(images) - 1):
        reason += "; the path has no barrier between its ends"
    elif converged and (settings.refine or settings.vibrational_check):
        saddle = _saddle(images, top, run.evaluator, settings)
        good, text = _verdict(saddle)
        converged, reason = converged and good, f"{reason}; {text}"
    return NEBResult(
        **run.outcome(converged, reason),
        images=images,
        steps=steps,
        fmax=fmax,
        image_fmax=band.image_fmax,
        fit=fit,
        saddle=saddle,
        batches=band.batches,
        evaluations=band.evaluations,
        history=np.array(relaxation.history),
    )


def _saddle(images: list[Atoms], top: int, evaluate: Evaluator, settings: NEBSettings) -> Saddle:
    """The saddle point refined from the highest image, or that image itself."""
    return refine_saddle(
        images[top],
        evaluate,
        fmax=settings.saddle_fmax if settings.refine else np.inf,
        steps=settings.saddle_steps if settings.refine else 0,
        direction=tangent(images, top),
        method=settings.hessian,
        step_A=settings.step_A,
        check_modes=settings.vibrational_check,
    )


def _verdict(saddle: Saddle) -> tuple[bool, str]:
    """Whether a saddle point is a transition state, in words, too."""
    if not saddle.converged:
        return False, (
            f"the saddle point was not found: its largest force is {saddle.fmax_eV_per_A:.2e} "
            f"eV/Å after {saddle.steps} steps"
        )
    if saddle.modes is None:
        return True, "the saddle point was not checked"
    imaginary = saddle.modes.frequencies_per_cm[saddle.modes.imaginary]
    listed = ", ".join(f"{-value:.1f}i" for value in imaginary) or "none"
    text = f"imaginary modes at the saddle point: {listed} cm^-1"
    return len(imaginary) == 1, text if len(imaginary) == 1 else f"{text}, and there must be one"


def _write(folder: RunFolder, result: NEBResult) -> None:
    fit = result.fit
    arrays = {
        "path_A": fit.path,
        "energies_eV": fit.energies,
        "fit_path_A": fit.fit_path,
        "fit_energies_eV": fit.fit_energies,
        "fmax_history_eV_per_A": result.history,
    }
    if result.saddle is not None:
        folder.save_atoms(SADDLE_FILE, result.saddle.atoms)
        if result.saddle.modes is not None:
            arrays["saddle_frequencies_per_cm"] = result.saddle.modes.frequencies_per_cm
            arrays["saddle_modes"] = result.saddle.modes.vectors
    folder.save_arrays(ARRAYS_FILE, arrays)
    folder.save_figure(FIGURE_FILE, lambda: figure.plot(result))
