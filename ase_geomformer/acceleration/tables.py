"""Radial tables: filters that depend on the distance alone, read from splines.

The networks that turn a distance into attention filters cost more than all else in So3krates. A
quintic B-spline gives the same values by adding up six rows of a table. Forces are the exact
derivative of the spline, so that energy is conserved; how far energies and forces are from those
of the networks is measured, and the grid made finer until both are close enough.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import torch
from ase import Atoms
from ase.data import covalent_radii
from torch import Tensor, nn

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.joint import joint_graph
from ase_geomformer.layers.radial import FadedBasis, RadialFunction, RadialLinear
from ase_geomformer.layers.spline import DEGREE, SplineGrid, SplineTable
from ase_geomformer.potential import Potential

logger = logging.getLogger(__name__)

ENERGY_TOLERANCE_EV_PER_ATOM = 1e-6
FORCE_TOLERANCE_EV_PER_A = 1e-5

# Intervals of the first grid that is tried, and of the last: each has twice those of the one
# before. Of all potentials that ship, half need the first, and half of it would be no faster to
# read. The last holds 5 MB per filter of width 128 in float32 and needs seconds to be made.
COARSEST, FINEST = 256, 8192
# Pairs nearer than this share of the sum of their covalent radii do not occur.
NEAREST = 0.7
PROBE_ATOMS = 16
PROBE_ELEMENTS = 6


@dataclass(frozen=True)
class TableErrors:
    """What tabulating changed on the probe structures, at worst.

    Attributes
    ----------
    num_intervals : int
        Of the grid from zero to the cutoff.
    energy_eV_per_atom, forces_eV_per_A : float
        Largest error of the energy of an atom, and of a component of a force.
    """

    num_intervals: int
    energy_eV_per_atom: float
    forces_eV_per_A: float


def can_tabulate(potential: Potential) -> bool:
    """Whether the architecture has filters that tables can replace."""
    architecture = potential.architecture
    # Tables are constant beyond the cutoff, where filters of far pairs may still change.
    ends_at_cutoff = architecture.far_cutoff <= architecture.cutoff or isinstance(
        architecture.radial_basis, FadedBasis | SplineGrid
    )
    return ends_at_cutoff and any(True for _ in _functions(potential))


def worth_tabulating(potential: Potential) -> bool:
    """Whether tables can replace networks; single linear maps are as fast themselves."""
    networks = (f for f in _functions(potential) if not isinstance(f, RadialLinear))
    return can_tabulate(potential) and any(True for _ in networks)


def tabulate(
    potential: Potential,
    *,
    energy_tolerance_eV_per_atom: float = ENERGY_TOLERANCE_EV_PER_ATOM,
    force_tolerance_eV_per_A: float = FORCE_TOLERANCE_EV_PER_A,
) -> TableErrors:
    """Replace the radial filters of a potential by tables, in place.

    Grids are tried from coarse to fine, in float64, on probe structures: a random dense cell of the
    potential's elements, and pairs of them at all distances from short bonds to the cutoff. Copies
    of the potential have its networks again.

    Parameters
    ----------
    potential : Potential
        Frozen, as :meth:`Potential.copy` makes it: tables do not follow weights.
    energy_tolerance_eV_per_atom, force_tolerance_eV_per_A : float
        What may change at most on the probe structures.

    Raises
    ------
    ValueError
        If the architecture has no such filters, or no grid is fine enough.
    """
    errors, coefficients = fitted(potential, energy_tolerance_eV_per_atom, force_tolerance_eV_per_A)
    install(potential, coefficients)
    return errors


def fitted(
    potential: Potential,
    energy_tolerance_eV_per_atom: float = ENERGY_TOLERANCE_EV_PER_ATOM,
    force_tolerance_eV_per_A: float = FORCE_TOLERANCE_EV_PER_A,
) -> tuple[TableErrors, list[Tensor]]:
    """What :func:`tabulate` installs: coefficients (n + 5, F) of all tables, in float64."""
    if not can_tabulate(potential):
        raise ValueError(
            f"radial tables: {potential.architecture.name} has no filters of the distance alone "
            "that end at its cutoff"
        )
    exact, trial = (potential.copy(dtype=torch.float64) for _ in range(2))
    probes = probe_graph(exact)
    expected = _evaluate(exact, probes)
    num_intervals = COARSEST
    while True:
        coefficients = _fit_all(exact, num_intervals)
        install(trial, coefficients)
        energies, forces = (
            float((a - b).abs().max())
            for a, b in zip(_evaluate(trial, probes), expected, strict=True)
        )
        errors = TableErrors(num_intervals, energies, forces)
        if energies <= energy_tolerance_eV_per_atom and forces <= force_tolerance_eV_per_A:
            break
        num_intervals *= 2
        if num_intervals > FINEST:
            raise ValueError(
                f"radial tables: with {FINEST} intervals errors are still {energies:.1e} eV/atom "
                f"and {forces:.1e} eV/Å; allow larger ones than {energy_tolerance_eV_per_atom:g} "
                f"eV/atom and {force_tolerance_eV_per_A:g} eV/Å, or do without tables"
            )
    logger.info("radial tables: %s", errors)
    return errors, coefficients


def _functions(potential: Potential) -> Iterator[RadialFunction]:
    modules = potential.architecture.modules()
    return (module for module in modules if isinstance(module, RadialFunction))


def install(potential: Potential, coefficients: Sequence[Tensor]) -> None:
    """Give a potential tables with these coefficients (n + 5, F), one for each of its filters."""
    device, dtype = potential.device, potential.dtype
    for function, own in zip(_functions(potential), coefficients, strict=True):
        function.table = SplineTable(own).to(device, dtype)
    grid = SplineGrid(coefficients[0].shape[0] - DEGREE, potential.cutoff)
    potential.architecture.radial_basis = grid.to(device, dtype)


def _fit_all(exact: Potential, num_intervals: int) -> list[Tensor]:
    """Coefficients of tables of all filters of a potential in float64."""
    basis = exact.architecture.radial_basis
    assert isinstance(basis, nn.Module)
    return [_fit(basis, f, num_intervals, exact.cutoff) for f in _functions(exact)]


def _fit(basis: nn.Module, function: RadialFunction, num_intervals: int, cutoff: float) -> Tensor:
    """Coefficients (n + 5, F) of the spline through a function at the ends of all intervals.

    Four more conditions come from the middle of the two intervals at either end.
    """
    from scipy.interpolate import make_interp_spline

    spacing = cutoff / num_intervals
    knots = spacing * np.arange(-DEGREE, num_intervals + DEGREE + 1)
    steps = np.arange(num_intervals + 1.0)
    extra = [0.5, 1.5, num_intervals - 1.5, num_intervals - 0.5]
    # Rounding must not put the last point beyond the last knot.
    points = np.minimum(spacing * np.sort([*steps, *extra]), knots[-1 - DEGREE])
    device = next(function.parameters()).device
    with torch.no_grad():
        values = function.of_radial(basis(torch.from_numpy(points).to(device)))
    spline = make_interp_spline(points, values.cpu().numpy(), k=DEGREE, t=knots)
    return torch.from_numpy(spline.c)


def _evaluate(potential: Potential, graph: AtomGraph) -> tuple[Tensor, Tensor]:
    found = potential(graph, ("energies", "forces"))
    return found["energies"], found["forces"]


def probe_graph(potential: Potential) -> AtomGraph:
    """A random dense cell and pairs at many distances, in a potential's elements."""
    elements = np.array(potential.elements)
    few = elements[:: -(-len(elements) // PROBE_ELEMENTS)]
    structures = [_dense_cell(elements)]
    for pair in combinations_with_replacement(few, 2):
        shortest = NEAREST * covalent_radii[list(pair)].sum()
        for distance in np.linspace(min(shortest, 0.5 * potential.cutoff), potential.cutoff, 24):
            # Off the axes, so that all components of forces are there.
            end = distance * np.array([0.48, 0.6, 0.64])
            structures.append(Atoms(pair, positions=[np.zeros(3), end]))
            if potential.is_reciprocal:  # which sums over crystals only
                structures[-1].set_cell(np.full(3, 3.0 * potential.cutoff))
                structures[-1].pbc = True
    if np.isinf(potential.far_cutoff):
        structures[0].pbc = False
    graph = joint_graph(structures, potential.cutoff, far_cutoff=potential.far_cutoff)
    return graph.to(potential.device)


def _dense_cell(elements: np.ndarray) -> Atoms:
    """Atoms put at random into a periodic cube as dense as diamond, none too near another."""
    rng = np.random.default_rng(0)
    numbers = rng.choice(elements, size=PROBE_ATOMS)
    radii = covalent_radii[numbers]
    length = (1.6 * np.sum((2.0 * radii) ** 3)) ** (1 / 3)
    positions: list[np.ndarray] = []
    while len(positions) < PROBE_ATOMS:
        own = radii[len(positions)]
        place = rng.uniform(0.0, length, size=3)
        apart = place - np.array(positions).reshape(-1, 3)
        apart -= length * np.round(apart / length)
        nearest = NEAREST * (radii[: len(positions)] + own)
        if (np.linalg.norm(apart, axis=1) >= nearest).all():
            positions.append(place)
    return Atoms(numbers, positions=positions, cell=np.full(3, length), pbc=True)
