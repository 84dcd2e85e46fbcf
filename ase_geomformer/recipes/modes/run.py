"""Vibrations of a structure: from atoms and a potential to modes, thermochemistry and files."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.graph.structure import geometry
from ase_geomformer.infrared import spectrum
from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.constraints import FreeDirections
from ase_geomformer.recipes.modes import figure, thermochemistry
from ase_geomformer.recipes.modes.derivatives import derivatives
from ase_geomformer.recipes.modes.normal_modes import VIBRATE, NormalModes, normal_modes
from ase_geomformer.recipes.modes.result import Infrared, VibrationsResult
from ase_geomformer.recipes.modes.settings import VibrationsSettings
from ase_geomformer.recipes.modes.thermochemistry import ThermochemistryRow, symmetry_number
from ase_geomformer.recipes.relaxation.run import relax
from ase_geomformer.recipes.relaxation.settings import RelaxSettings
from ase_geomformer.runs.folder import FINAL_FILES, RunFolder
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.structures import StructureLike, as_structure

ARRAYS_FILE = "vibrations.npz"
FIGURE_FILE = "vibrations.png"
INFRARED_FILE = "infrared.png"
MODES_FOLDER = "modes"
# Å; how far the atom that moves most goes in the file of a mode.
AMPLITUDE = 0.4


@takes_pymatgen()
def vibrations(
    atoms: StructureLike,
    potential: PotentialLike,
    settings: VibrationsSettings | None = None,
    **keywords: Unpack[RunKeywords],
) -> VibrationsResult:
    """Vibrations of a relaxed structure in the harmonic approximation.

    Translations and rotations are taken out, so that a molecule of N atoms has 3 N - 6 modes, a
    linear one 3 N - 5. Atoms that constraints hold stand still, as those of a surface under an
    adsorbate, or move along the directions that FixCartesian, FixScaled, FixedPlane and FixedLine
    leave free. Where the potential gives a dipole, and the structure is not periodic, the modes
    get infrared intensities.

    Parameters
    ----------
    atoms : ase.Atoms or path
        Left as it is. The spin multiplicity in ``info["spin"]`` counts for the entropy.
    potential : str, path, Potential, ASE calculator or Evaluator
    settings : VibrationsSettings, optional
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives ``vibrations.npz``
        (Hessian, frequencies, modes), ``vibrations.png``, ``infrared.png`` where there are
        intensities, an animation of each mode in ``modes`` as extended XYZ and for ``ase gui``,
        ``final.extxyz``, ``final.traj``, ``settings.yaml`` and ``result.json``.

    Returns
    -------
    VibrationsResult
        ``converged`` is False where there are more or fewer imaginary modes than expected.

    Raises
    ------
    ValueError
        If the structure is not relaxed, or holds a constraint of another kind.
    FileExistsError
        If the output folder is not empty.
    """
    atoms = as_structure(atoms)
    settings = settings or VibrationsSettings()
    run = Run(potential, settings, resumes=False, **keywords)
    geometry(atoms)  # refuses positions that are not finite
    evaluate = run.evaluator
    free = FreeDirections.of(atoms, VIBRATE)
    atoms, steps = _relaxed(atoms, evaluate, settings)
    energy, fmax = _check_relaxed(atoms, evaluate, settings)
    folder = run.start(_files(run.folder.file(MODES_FOLDER)))
    dipole, why_not = _dipole(atoms, evaluate)
    run.note(why_not)
    found = derivatives(
        evaluate,
        atoms,
        dipole=dipole is not None,
        method=settings.hessian,
        step_A=settings.step_A,
        progress=run.progress,
    )
    modes = normal_modes(atoms, found.hessian, settings.whole_motions)
    symmetry, table = _thermochemistry(atoms, modes, energy, settings)
    result = VibrationsResult(
        **run.outcome(*_verdict(modes, settings)),
        atoms=atoms,
        energy_eV=energy,
        fmax_eV_per_A=fmax,
        method=found.method,
        hessian=found.hessian,
        modes=modes,
        infrared=_infrared(dipole, found.polar_tensors, modes),
        symmetry_number=symmetry,
        thermochemistry=table,
        relax_steps=steps,
        temperature_K=settings.temperature_K,
    )
    _write(folder, result, free, settings)
    return run.finish(result, f"Vibrations of {atoms.get_chemical_formula()}")


def _relaxed(atoms: Atoms, evaluate: Evaluator, settings: VibrationsSettings) -> tuple[Atoms, int]:
    """A copy of the atoms, relaxed if that is asked for, and the steps it took."""
    atoms = atoms.copy()
    if not settings.relax:
        return atoms, 0
    # Half the limit, so that rounding cannot put the forces back above it.
    wanted = RelaxSettings(fmax=0.5 * settings.fmax, steps=settings.relax_steps)
    found = relax(atoms, evaluate, wanted, progress=False)
    atoms.positions = found.atoms.positions
    return atoms, found.steps


def _check_relaxed(
    atoms: Atoms, evaluate: Evaluator, settings: VibrationsSettings
) -> tuple[float, float]:
    """Energy and largest force, which must be within the limit."""
    (found,) = evaluate([atoms], ("energy", "forces"))
    free = FreeDirections.of(atoms, VIBRATE)
    sizes = np.linalg.norm(free.displacements(free.along(found["forces"])), axis=1)
    if not sizes.max() <= settings.fmax:  # NaN is refused, too
        worst = int(np.argmax(sizes))
        remedy = (
            f"increase relax_steps = {settings.relax_steps}"
            if settings.relax
            else "relax it first (relax = true)"
        )
        raise ValueError(
            f"the structure is not relaxed: the force on atom {worst} ({atoms.symbols[worst]}) is "
            f"{sizes.max():.3g} eV/Å, above fmax = {settings.fmax:g} eV/Å; {remedy}, or raise fmax"
        )
    return float(found["energy"]), float(sizes.max())


def _dipole(atoms: Atoms, evaluate: Evaluator) -> tuple[np.ndarray | None, str]:
    """The dipole, if the potential gives one, and what to say where it means nothing."""
    if "dipole" not in evaluate.calculator.implemented_properties:
        return None, ""
    if atoms.pbc.any():
        return None, (
            "no infrared intensities, as the dipole of a periodic structure is not defined; set "
            "pbc to False for a molecule in a box"
        )
    try:
        (found,) = evaluate([atoms], ("dipole",))
    except PropertyNotImplementedError:
        # Some calculators promise what they give with other settings only.
        return None, ""
    return np.asarray(found["dipole"]), ""


def _infrared(
    dipole: np.ndarray | None, tensors: np.ndarray | None, modes: NormalModes
) -> Infrared | None:
    if dipole is None or tensors is None:
        return None
    strengths = spectrum.intensities(tensors, modes.vectors, modes.reduced_masses_amu)
    return Infrared(dipole, tensors, strengths)


def _thermochemistry(
    atoms: Atoms, modes: NormalModes, energy: float, settings: VibrationsSettings
) -> tuple[int | None, list[ThermochemistryRow]]:
    """Symmetry number and table; none where the number of imaginary modes is not as expected."""
    model = settings.thermochemistry
    if model == "auto":
        isolated = not (atoms.constraints or atoms.pbc.any())
        model = "ideal-gas" if isolated else "harmonic"
    if model == "none" or len(modes.imaginary) != settings.expected_imaginary:
        return None, []
    temperatures = settings.temperatures_K()
    if model == "harmonic":
        return None, thermochemistry.harmonic(modes.real_energies_eV, energy, temperatures)
    symmetry = settings.symmetry_number or symmetry_number(atoms)
    rows = thermochemistry.ideal_gas(
        atoms,
        modes.real_energies_eV,
        energy,
        temperatures,
        pressure_bar=settings.pressure_bar,
        symmetry=symmetry,
    )
    return symmetry, rows


def _verdict(modes: NormalModes, settings: VibrationsSettings) -> tuple[bool, str]:
    imaginary = modes.frequencies_per_cm[modes.imaginary]
    kind = {0: "a minimum", 1: "a transition state"}
    number = len(imaginary)
    name = kind.get(number, f"a saddle of order {number}")
    text = f"{number} imaginary mode{'s' if number != 1 else ''}: {name}"
    if number:
        text += f" ({', '.join(f'{-value:.1f}i' for value in imaginary)} cm^-1)"
    if number == settings.expected_imaginary:
        return True, text
    return False, f"{text}, and expected_imaginary is {settings.expected_imaginary}"


def _files(modes: Path | None) -> list[str]:
    """Files of this recipe, and those that an earlier run left for its modes."""
    earlier = [] if modes is None else [*modes.glob("mode_*.extxyz"), *modes.glob("mode_*.traj")]
    listed = [f"{MODES_FOLDER}/{path.name}" for path in earlier]
    return [ARRAYS_FILE, FIGURE_FILE, INFRARED_FILE, *FINAL_FILES, *listed]


def _write(
    folder: RunFolder, result: VibrationsResult, free: FreeDirections, settings: VibrationsSettings
) -> None:
    modes, atoms, infrared = result.modes, result.atoms, result.infrared
    absorption = {}
    if infrared is not None:
        absorption = {
            "dipole_eA": infrared.dipole_eA,
            "polar_tensors_e": infrared.polar_tensors_e,
            "ir_intensities_km_per_mol": infrared.intensities_km_per_mol,
        }
    folder.save_arrays(
        ARRAYS_FILE,
        {
            "hessian_eV_per_A2": result.hessian,
            "free_atoms": free.free_atoms,
            "free_directions": free.vectors,
            "frequencies_per_cm": modes.frequencies_per_cm,
            "modes": modes.vectors,
            "reduced_masses_amu": modes.reduced_masses_amu,
            "masses_amu": atoms.get_masses(),
            "positions_A": atoms.positions,
            **absorption,
        },
    )
    folder.save_final(atoms)
    if settings.mode_frames:
        for index in range(len(modes.frequencies_per_cm)):
            frames = mode_frames(result, index, settings.mode_frames)
            for suffix in ("extxyz", "traj"):
                folder.save_atoms(f"{MODES_FOLDER}/mode_{index + 1:03d}.{suffix}", frames)
    formula = atoms.get_chemical_formula()
    title = f"{formula}: zero-point energy {result.zero_point_energy_eV:.3f} eV"
    folder.save_figure(FIGURE_FILE, lambda: figure.plot(modes, title))
    if infrared is not None:
        title = f"{formula}: infrared absorption, bands {spectrum.WIDTH_PER_CM:g} cm$^{{-1}}$ wide"
        strengths = infrared.intensities_km_per_mol
        folder.save_figure(
            INFRARED_FILE, lambda: spectrum.plot(modes.frequencies_per_cm, strengths, title)
        )


def mode_frames(result: VibrationsResult, index: int, frames: int) -> list[Atoms]:
    """One period of a mode, the atom that moves most by 0.4 Å."""
    vectors = result.modes.vectors[index]
    facts = {"frequency_per_cm": float(result.frequencies_per_cm[index])}
    if result.infrared is not None:
        strength = result.infrared.intensities_km_per_mol[index]
        facts["ir_intensity_km_per_mol"] = float(strength)
    largest = np.linalg.norm(vectors, axis=1).max()
    period = []
    for phase in 2.0 * np.pi * np.arange(frames) / frames:
        moved = result.atoms.copy()
        moved.set_constraint()
        moved.positions += AMPLITUDE / largest * np.sin(phase) * vectors
        moved.info.update(facts)
        period.append(moved)
    return period
