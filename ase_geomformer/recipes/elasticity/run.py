"""Elastic constants from the stress of strained cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Unpack

import numpy as np
from ase import Atoms, units
from matscipy.elasticity import fit_elastic_constants, generate_strained_configs

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.crystals import free_crystal, relaxed_start
from ase_geomformer.recipes.elasticity import tensor as tensors
from ase_geomformer.recipes.elasticity.figure import plot
from ase_geomformer.recipes.elasticity.result import ElasticResult
from ase_geomformer.recipes.elasticity.settings import ElasticSettings
from ase_geomformer.recipes.relaxation.batch import relax_all
from ase_geomformer.recipes.relaxation.settings import USUAL_STEPS
from ase_geomformer.recipes.symmetry import symmetry_dataset
from ase_geomformer.runs.folder import FINAL_FILES
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.structures import StructureLike, as_structure

ARRAYS_FILE = "strains.npz"
FIGURE_FILE = "elastic.png"


@takes_pymatgen()
def elastic(
    atoms: StructureLike,
    potential: PotentialLike,
    settings: ElasticSettings | None = None,
    **keywords: Unpack[RunKeywords],
) -> ElasticResult:
    """Elastic constants of a crystal, from the stress of strained cells with relaxed atoms.

    Each of the six components of strain is applied alone, the stress is fitted to it with
    matscipy, and the tensor is averaged over the crystal's symmetry, so that the crystal may lie
    in its axes as it likes.

    Parameters
    ----------
    atoms : ase.Atoms or path
        A crystal; left as it is. Constraints are set aside.
    potential : str, path, Potential, ASE calculator or Evaluator
        One by its name, path or itself is evaluated in float64.
    settings : ElasticSettings, optional
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives ``strains.npz``,
        ``final.extxyz``, ``final.traj``, ``elastic.png``, ``settings.yaml`` and ``result.json``.

    Raises
    ------
    FileExistsError
        If the output folder is not empty.
    ValueError
        If the structure is no crystal, or is not relaxed and was not to be.
    """
    atoms = as_structure(atoms)
    settings = settings or ElasticSettings()
    run = Run(potential, settings, resumes=False, **keywords)
    start = free_crystal(atoms, run, "a tensor of elastic constants")
    if not settings.relax:
        _check_relaxed(start, run.evaluator, settings)
    run.foresee([start] * 6 * settings.points, USUAL_STEPS)
    evaluator = run.evaluator
    folder = run.start((ARRAYS_FILE, *FINAL_FILES, FIGURE_FILE))
    problems: list[str] = []
    with run.bar("strains", 6 * settings.points) as advance:
        if settings.relax:
            start, problems = relaxed_start(start, evaluator, settings.first)
        strained = _strained(start, settings)
        found = relax_all(strained, evaluator, settings.at_strain, advance)
    if settings.relax_ions:
        missed = [result.reason for result in found if not result.converged]
        problems += [f"{len(missed)} strained cells did not relax: {missed[0]}"] if missed else []
    _take_stress(strained, [result.atoms for result in found], evaluator)
    result = _result(run, start, strained, settings, problems)
    strains, stresses = _strains_and_stresses(strained, settings)
    folder.save_arrays(ARRAYS_FILE, {"strain": strains, "stress_GPa": stresses})
    folder.save_final(start)
    folder.save_figure(FIGURE_FILE, lambda: plot(strains, stresses, result.constants_GPa))
    return run.finish(result, f"{result.atoms.symbols}, elastic constants")


def _check_relaxed(atoms: Atoms, evaluator: Evaluator, settings: ElasticSettings) -> None:
    """Refuse a start whose residual stress or forces would add to those of the strain."""
    (found,) = evaluator([atoms], ("forces", "stress"))
    fmax = float(np.linalg.norm(found["forces"], axis=1).max())
    smax = float(np.abs(found["stress"]).max()) / units.GPa
    if fmax > settings.fmax or smax > settings.smax_GPa:
        raise ValueError(
            f"the crystal is not relaxed: its largest force is {fmax:.2g} eV/Å and its largest "
            f"stress {smax:.2g} GPa, above fmax = {settings.fmax:g} eV/Å or smax_GPa = "
            f"{settings.smax_GPa:g} GPa; relax it, or set relax"
        )


def _strained(start: Atoms, settings: ElasticSettings) -> list[Atoms]:
    """All strained cells, component by component, with their strain in ``info``."""
    bare = start.copy()
    increment = 2.0 * settings.max_strain / (settings.points - 1)
    return list(generate_strained_configs(bare, "triclinic", settings.points, increment))


def _take_stress(strained: list[Atoms], relaxed: Sequence[Atoms], evaluator: Evaluator) -> None:
    """Give the strained cells the stress of their relaxed atoms."""
    from ase.calculators.singlepoint import SinglePointCalculator

    found = evaluator(relaxed, ("stress",))
    for cell, atoms, results in zip(strained, relaxed, found, strict=True):
        cell.positions = atoms.positions
        cell.calc = SinglePointCalculator(cell, stress=results["stress"])


def _strains_and_stresses(
    strained: Sequence[Atoms], settings: ElasticSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Strains (6, points, 6) and stresses in GPa (6, points, 6), Voigt."""
    from matscipy.elasticity import full_3x3_to_Voigt_6_strain

    strains = [full_3x3_to_Voigt_6_strain(cell.info["strain"]) for cell in strained]
    stresses = [cell.get_stress() / units.GPa for cell in strained]
    shape = (6, settings.points, 6)
    return np.reshape(strains, shape), np.reshape(stresses, shape)


def _result(
    run: Run,
    start: Atoms,
    strained: list[Atoms],
    settings: ElasticSettings,
    problems: list[str],
) -> ElasticResult:
    """Fit the constants and derive everything else."""
    raw, errors = fit_elastic_constants(
        strained, "triclinic", settings.points, verbose=False, graphics=False
    )
    raw, errors = raw / units.GPa, errors / units.GPa
    dataset = symmetry_dataset(start, settings.symprec_A)
    group = dataset.pointgroup if dataset is not None else "1"
    rotations = _cartesian_rotations(start, dataset)
    constants = tensors.symmetrized(raw, rotations)
    turn = np.eye(3) if dataset is None else dataset.std_rotation_matrix
    standard = tensors.rotated(constants, turn)
    eigenvalues = tensors.stability(constants)
    kind = tensors.crystal_class(group)
    remarks = list(problems)
    if eigenvalues.min() <= 0:
        remarks.append(f"unstable: a strain has the stiffness {eigenvalues.min():.3g} GPa")
    moduli = tensors.moduli(constants)
    return ElasticResult(
        **run.outcome(not problems, "; ".join(remarks) or "all strained cells relaxed"),
        constants_GPa=constants,
        errors_GPa=errors,
        standard_constants_GPa=standard,
        asymmetry_GPa=float(np.abs(raw - constants).max()),
        crystal_class=kind,
        point_group=group,
        moduli=moduli,
        moduli_errors=_moduli_errors(constants, errors),
        eigenvalues_GPa=eigenvalues,
        zener_anisotropy=tensors.zener(standard) if kind == "cubic" else None,
        atoms=start,
    )


def _moduli_errors(constants: np.ndarray, errors: np.ndarray) -> dict[str, float]:
    """Standard errors of the moduli, by name."""

    def error_of(name: str) -> float:
        return tensors.propagated(lambda c: getattr(tensors.moduli(c), name), constants, errors)

    return {entry.name: error_of(entry.name) for entry in fields(tensors.Moduli)}


def _cartesian_rotations(atoms: Atoms, dataset: Any) -> np.ndarray:
    """The crystal's rotations (n, 3, 3) in Cartesian axes."""
    if dataset is None:
        return np.eye(3)[None]
    cell = atoms.cell.array.T  # vectors in columns
    return np.array([cell @ rotation @ np.linalg.inv(cell) for rotation in dataset.rotations])
