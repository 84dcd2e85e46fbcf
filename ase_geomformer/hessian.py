"""Second derivatives of the energy with respect to positions: exact, or by finite differences."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from torch import Tensor

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.evaluate import BatchEvaluator, Evaluator, as_evaluator
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.derivatives import shifted
from ase_geomformer.layers.written_gradient import by_formula
from ase_geomformer.machine.devices import resolve_device, resolve_dtype
from ase_geomformer.machine.memory import budget_bytes
from ase_geomformer.physics import LongRange, boundaries_of
from ase_geomformer.potential import Potential
from ase_geomformer.runs.report import tracked
from ase_geomformer.runtime.prepared import PreparedPotential, as_potential

# Å; the error of a central difference is this squared times a sixth of a fourth derivative.
STEP = 0.002


def hessian(
    potential: str | os.PathLike[str] | Potential | PotentialCalculator | BatchEvaluator,
    atoms: Atoms,
    *,
    rows: Sequence[int] | np.ndarray | None = None,
    memory_limit_bytes: float | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = "float64",
    neighbors: str = "auto",
    progress: bool = False,
) -> np.ndarray:
    """Hessian of a potential's energy, exact to rounding.

    Forces are differentiated once more, some rows at a time. All that the energy depends on is
    followed: edges across periodic boundaries, far pairs and sums over the reciprocal lattice.

    Parameters
    ----------
    potential : str, path, Potential, PotentialCalculator or BatchEvaluator
        A calculator or evaluator lends its potential, device and neighbour backend, how it sums
        charges and dispersion, and its dispersion correction.
    atoms : ase.Atoms
        In a periodic structure an atom moves together with all its images.
    rows : sequence of int, optional
        Indices of the atoms whose rows are wanted, in order; all atoms when left out.
    memory_limit_bytes : float, optional
        What the rows that are computed at once may take besides the two passes through the
        potential that they have in common; one row is always computed. 64 MiB on a CPU and half
        of the free memory of a GPU when left out.
    device, dtype, neighbors
        As in :class:`~ase_geomformer.calculator.PotentialCalculator`; None is the type the
        potential has.
    progress : bool
        Show a progress bar.

    Returns
    -------
    array, shape (3 n, 3 N)
        d^2E / dx_ia dx_jb in eV/Å^2, float64, for the n atoms of ``rows`` against all N atoms,
        x, y, z within each atom. With all rows it is symmetric to rounding; the sum over the
        atoms of a row vanishes to rounding.

    Raises
    ------
    ValueError
        If there is no such atom, the structure cannot be evaluated, or the potential's forces are
        not the gradient of its energy.
    """
    # A caller's inference mode would forbid the gradients.
    with torch.inference_mode(False), torch.enable_grad():
        model, graph = differentiable(potential, atoms, device, dtype, neighbors)
        if not model.conservative:
            raise ValueError(
                "the potential predicts forces directly, so that the second derivatives of its "
                "energy are not the slope of its forces; use finite_difference_hessian"
            )
        chosen = atoms_of(rows, len(atoms))
        coordinates = (3 * chosen[:, None] + np.arange(3)).ravel()
        correction = getattr(getattr(potential, "prepared", None), "dispersion", None)
        further = 0.0 if correction is None else correction.hessian(atoms)[coordinates]
        found = _rows(model, graph, coordinates, memory_limit_bytes, progress)
    return found.double().cpu().numpy() + further


def finite_difference_hessian(
    source: str | os.PathLike[str] | Potential | Calculator | Evaluator,
    atoms: Atoms,
    *,
    rows: Sequence[int] | np.ndarray | None = None,
    step_A: float = STEP,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = "float64",
    progress: bool = False,
) -> np.ndarray:
    """Hessian of any calculator's energy by central differences of its forces.

    Parameters
    ----------
    source : str, path, Potential, ASE calculator or Evaluator
        What gives the forces, in batches where it can: see
        :func:`~ase_geomformer.evaluate.as_evaluator`.
    atoms : ase.Atoms
    rows : sequence of int, optional
        Indices of the atoms to move; all of them when left out.
    step_A : float
        Displacement in Å to either side.
    device, dtype
        For a potential or its calculator, as in :func:`hessian`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    array, shape (3 n, 3 N)
        As :func:`hessian`; asymmetric by the error of the differences.
    """
    differences = finite_differences(
        source, atoms, ("forces",), rows=rows, step_A=step_A, device=device, dtype=dtype,
        progress=progress,
    )  # fmt: skip
    return -differences["forces"]


def differentiable(
    potential: str | os.PathLike[str] | Potential | PotentialCalculator | BatchEvaluator,
    atoms: Atoms,
    device: torch.device | str | None,
    dtype: torch.dtype | str | None,
    neighbors: str,
) -> tuple[Potential, AtomGraph]:
    """A potential as a structure is evaluated with it, without tables, and the structure's graph.

    Parameters
    ----------
    potential, atoms, device, dtype, neighbors
        As in :func:`hessian`.

    Raises
    ------
    ValueError
        If the potential does not know one of the elements.
    """
    lent: Any = getattr(potential, "prepared", potential)
    boundaries, long_range = boundaries_of(atoms), LongRange()
    if isinstance(lent, PreparedPotential):
        device = lent.device if device is None else device
        neighbors = lent.settings.neighbors
        long_range, lent = LongRange("published"), lent.fitting(boundaries).potential
    place = resolve_device("auto" if device is None else device)
    own = as_potential(lent)
    fitting = own.with_terms(long_range.terms(own.terms_settings, boundaries))
    model = fitting.copy(device=place, dtype=resolve_dtype(dtype))
    model.check_elements(np.unique(atoms.numbers))
    graph = AtomGraph.from_atoms(
        atoms, model.cutoff, far_cutoff=model.far_cutoff, neighbors=neighbors, dtype=model.dtype
    )
    return model, graph.to(place)


def finite_differences(
    source: str | os.PathLike[str] | Potential | Calculator | Evaluator,
    atoms: Atoms,
    properties: Sequence[str],
    *,
    rows: Sequence[int] | np.ndarray | None = None,
    step_A: float = STEP,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = "float64",
    progress: bool = False,
) -> dict[str, np.ndarray]:
    """Derivatives of properties with respect to positions, by central differences.

    Parameters
    ----------
    properties : sequence of str
        ASE's names, such as forces and dipole.
    source, atoms, rows, step_A, device, dtype, progress
        As in :func:`finite_difference_hessian`.

    Returns
    -------
    dict of str to array, shape (3 n, k)
        A row for each coordinate, with the k components of the property, in its unit by Å.

    Raises
    ------
    ValueError
        If the step is not positive or there is no such atom.
    """
    if not step_A > 0:
        raise ValueError(f"step_A must be positive, not {step_A} Å")
    evaluate = as_evaluator(source, device=device, dtype=dtype)
    displaced = list(_displaced(atoms, atoms_of(rows, len(atoms)), step_A))
    results = evaluate(displaced, tuple(properties), progress=progress)
    values = {name: np.array([np.ravel(one[name]) for one in results]) for name in properties}
    return {name: (found[0::2] - found[1::2]) / (2.0 * step_A) for name, found in values.items()}


def atoms_of(rows: Sequence[int] | np.ndarray | None, number: int) -> np.ndarray:
    """Indices of the atoms that rows are wanted of, checked."""
    chosen = np.arange(number) if rows is None else np.asarray(rows, dtype=np.int64)
    if chosen.ndim != 1 or ((chosen < 0) | (chosen >= number)).any():
        raise ValueError(f"rows must be indices of atoms, 0 to {number - 1}, not {rows}")
    return chosen


def _displaced(atoms: Atoms, chosen: np.ndarray, step: float) -> Iterator[Atoms]:
    """Each coordinate of the atoms chosen moved by plus and by minus a step."""
    for atom in chosen:
        for axis in range(3):
            for sign in (1.0, -1.0):
                moved = atoms.copy()
                moved.positions[atom, axis] += sign * step
                yield moved


def _rows(
    potential: Potential,
    graph: AtomGraph,
    coordinates: np.ndarray,
    limit: float | None,
    progress: bool,
) -> Tensor:
    """Rows (n, 3 N) of the Hessian."""
    shifts = graph.edge_vectors.new_zeros(graph.num_atoms, 3).requires_grad_()
    with kept_for_gradients(potential) as kept:
        slope = _slope(potential, graph, shifts)
        per_row = kept()
    rows = shifts.new_zeros(len(coordinates), shifts.numel())
    if not slope.requires_grad:
        return rows
    limit = budget_bytes(potential.device) if limit is None else limit
    # A row takes no more than what the passes before keep, of which it makes one gradient each.
    at_once = max(1, int(limit / max(per_row, 1)))
    indices = torch.from_numpy(coordinates).to(shifts.device)
    done = 0
    for block in tracked(indices.split(at_once), "Hessian", progress):
        units = torch.nn.functional.one_hot(block, shifts.numel()).to(shifts)
        (found,) = torch.autograd.grad(
            slope.flatten(), shifts, units, retain_graph=True, is_grads_batched=True
        )
        rows[done : done + len(block)] = found.flatten(1)
        done += len(block)
    return rows


def _slope(potential: Potential, graph: AtomGraph, shifts: Tensor) -> Tensor:
    """Derivative of the energy with respect to shifts of the atoms (N, 3), differentiable."""
    with by_formula():
        energy = potential(shifted(graph, shifts), ("energy",))["energy"].sum()
    # An atom alone has an energy that depends on no shift at all.
    (slope,) = torch.autograd.grad(
        energy, shifts, create_graph=True, allow_unused=True, materialize_grads=True
    )
    return slope


@contextmanager
def kept_for_gradients(potential: Potential) -> Iterator[Callable[[], int]]:
    """Count the bytes that passes through a potential keep for later derivatives.

    Gives the function that tells the count so far; the potential's weights are left out.
    """
    weights = {tensor.untyped_storage().data_ptr() for tensor in potential.state_dict().values()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield lambda: sum(kept.values())
