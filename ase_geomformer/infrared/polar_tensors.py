"""Atomic polar tensors, the derivatives of the dipole: exact, or by finite differences.

Their name and their sum rules are those of W. B. Person, J. H. Newton, J. Chem. Phys. 61, 1040
(1974): the sum over all atoms is the total charge times the unit matrix, and a rotation of all
atoms turns the dipole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.evaluate import BatchEvaluator, Evaluator
from ase_geomformer.graph.derivatives import shifted
from ase_geomformer.hessian import STEP, atoms_of, differentiable, finite_differences
from ase_geomformer.potential import Potential

PERIODIC = (
    "the dipole of a periodic structure depends on which image of each atom is taken, and so do "
    "its derivatives; for a molecule in a box, set atoms.pbc = False"
)


def polar_tensors(
    potential: str | os.PathLike[str] | Potential | PotentialCalculator | BatchEvaluator,
    atoms: Atoms,
    *,
    rows: Sequence[int] | np.ndarray | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = "float64",
    neighbors: str = "auto",
) -> np.ndarray:
    """Derivatives of the dipole of a potential's charges, exact to rounding.

    With charges q that depend on all positions it is q_i times the unit matrix plus
    sum_j r_j (x) dq_j/dr_i: three gradients, each as costly as that of the energy.

    Parameters
    ----------
    potential : str, path, Potential, PotentialCalculator or BatchEvaluator
        One that predicts charges, such as SO3LR.
    atoms : ase.Atoms
        Without periodic boundaries.
    rows, device, dtype, neighbors
        As in :func:`~ase_geomformer.hessian.hessian`.

    Returns
    -------
    array, shape (n, 3, 3)
        ``[i, a, b]`` is the derivative in e of component a of the dipole with respect to
        coordinate b of atom i of ``rows``.

    Raises
    ------
    ValueError
        If the structure is periodic or cannot be evaluated, there is no such atom, or the
        potential predicts no charges.
    """
    check_open(atoms)
    chosen = atoms_of(rows, len(atoms))
    # A caller's inference mode would forbid the gradients.
    with torch.inference_mode(False), torch.enable_grad():
        model, graph = differentiable(potential, atoms, device, dtype, neighbors)
        if "charges" not in model.properties:
            raise ValueError("the potential predicts no charges, so that it has no dipole")
        positions = torch.from_numpy(atoms.positions).to(graph.edge_vectors)
        shifts = torch.zeros_like(positions).requires_grad_()
        # The energies of the terms depend on the charges, not the charges on them.
        charges = model.architecture(shifted(graph, shifts))["charges"]
        dipole = charges @ (positions + shifts)
        parts = [
            torch.autograd.grad(component, shifts, retain_graph=True)[0][chosen]
            for component in dipole
        ]
    found: np.ndarray = torch.stack(parts, dim=1).double().cpu().numpy()
    return found


def finite_difference_polar_tensors(
    source: str | os.PathLike[str] | Potential | Calculator | Evaluator,
    atoms: Atoms,
    *,
    rows: Sequence[int] | np.ndarray | None = None,
    step_A: float = STEP,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = "float64",
    progress: bool = False,
) -> np.ndarray:
    """Derivatives of any calculator's dipole, by central differences.

    Parameters
    ----------
    source, atoms, rows, step_A, device, dtype, progress
        As in :func:`~ase_geomformer.hessian.finite_difference_hessian`.

    Returns
    -------
    array, shape (n, 3, 3)
        As :func:`polar_tensors`.
    """
    check_open(atoms)
    differences = finite_differences(
        source, atoms, ("dipole",), rows=rows, step_A=step_A, device=device, dtype=dtype,
        progress=progress,
    )  # fmt: skip
    return from_differences(differences["dipole"])


def from_differences(dipole: np.ndarray) -> np.ndarray:
    """Polar tensors (n, 3, 3) from the derivatives (3 n, 3) with respect to each coordinate."""
    return dipole.reshape(-1, 3, 3).transpose(0, 2, 1)


def check_open(atoms: Atoms) -> None:
    """Raise ValueError if a structure is periodic, so that its dipole is not defined."""
    if atoms.pbc.any():
        raise ValueError(PERIODIC)
