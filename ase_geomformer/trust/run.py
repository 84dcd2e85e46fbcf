"""The self-test: all checks on one structure."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from ase import Atoms

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.graph.structure import geometry
from ase_geomformer.potential import Potential
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.report import progress_bar
from ase_geomformer.trust.check import Check
from ase_geomformer.trust.limits import LIMITS
from ase_geomformer.trust.report import SelfTest
from ase_geomformer.trust.system_under_test import SystemUnderTest


@cache
def all_checks() -> dict[str, Check]:
    """All checks by name, in the order in which they run."""
    # Their libraries are loaded when a test is run, not when the package is.
    from ase_geomformer.trust import consistency, derivatives, dynamics, symmetry

    return {
        entry.name: entry
        for room in (symmetry, derivatives, consistency, dynamics)
        for entry in vars(room).values()
        if isinstance(entry, Check)
    }


@takes_pymatgen(1)
def selftest(
    potential: str | os.PathLike[str] | Potential | Any,
    atoms: Atoms,
    *,
    device: torch.device | str = "auto",
    dtype: torch.dtype | str | None = None,
    checks: Sequence[str] | None = None,
    seed: int = 0,
    progress: bool = False,
) -> SelfTest:
    """Test a potential, or any ASE calculator, on a structure.

    Parameters
    ----------
    potential : str, path, Potential or ASE calculator
        A calculator is tested as it is.
    atoms : ase.Atoms
        Left as it is.
    device, dtype
        For a potential, as in :class:`~ase_geomformer.calculator.PotentialCalculator`. For a
        calculator of another package ``dtype`` is the dtype it computes in, by which the limits
        are chosen: float64 when left out.
    checks : sequence of str, optional
        Names of the checks to run; all of them when left out.
    seed : int
        Of the random displacements, rotations and velocities.
    progress : bool
        Show a progress bar.

    Returns
    -------
    SelfTest

    Raises
    ------
    ValueError
        If a check or the dtype is unknown, or the calculator cannot evaluate the structure.
    """
    known = all_checks()
    chosen = list(known) if checks is None else list(checks)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise ValueError(f"unknown check {unknown[0]!r}; choose from {', '.join(known)}")
    geometry(atoms)  # refuses positions that are not finite
    system = _system_under_test(potential, atoms, device, dtype, seed)
    start = time.perf_counter()
    findings = []
    with progress_bar("selftest", len(chosen), progress) as advance:
        for done, name in enumerate(chosen):
            advance(done, name)
            findings.append(known[name](system))
        advance(len(chosen))
    return SelfTest(
        formula=atoms.get_chemical_formula(),
        precision=system.precision,
        findings=tuple(findings),
        wall_time=time.perf_counter() - start,
    )


def _system_under_test(
    potential: Any,
    atoms: Atoms,
    device: torch.device | str,
    dtype: torch.dtype | str | None,
    seed: int,
) -> SystemUnderTest:
    """The system under test, after a first evaluation of the structure."""
    if isinstance(potential, str | os.PathLike | Potential):
        potential = PotentialCalculator(potential, device=device, dtype=dtype)
    elif not hasattr(potential, "get_property"):
        raise TypeError(
            "potential must be a name, a path, a Potential or an ASE calculator, not "
            f"{type(potential).__name__}"
        )
    if isinstance(potential, PotentialCalculator):
        precision = str(potential.parameters["dtype"])
    else:
        precision = str(dtype or "float64").removeprefix("torch.")
    if precision not in LIMITS:
        raise ValueError(f"there are no limits for {precision}; choose from {', '.join(LIMITS)}")
    atoms = atoms.copy()
    atoms.calc = None
    system = SystemUnderTest(atoms, potential, precision, seed)
    # What is wrong with the structure itself is an error, not a failed check.
    _ = system.reference_energy, system.reference_forces
    return system
