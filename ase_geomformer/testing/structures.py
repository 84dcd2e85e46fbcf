"""Structures that the checks of an architecture are made on, and their evaluation.

Lengths follow the cutoff where the check is about it, so that every architecture meets the same
neighbours whatever its cutoff.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.potential import PROPERTIES, Potential

SYMBOLS = ("H", "C", "N", "O", "Na", "Al", "Si", "Cl", "Fe")


def ethanol() -> Atoms:
    """A molecule without any symmetry."""
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.1, seed=1)
    return atoms


def familiar(potential: Potential) -> Atoms:
    """Ethanol where the potential knows its elements, else a rattled crystal of those it knows."""
    symbols = tuple(potential.symbols)
    if {"H", "C", "O"} <= set(symbols):
        return ethanol()
    crystal = COMPOUNDS[symbols]() if symbols in COMPOUNDS else bulk(symbols[0], cubic=True)
    if len(crystal) == 2:
        crystal = crystal.repeat((2, 2, 1))
    crystal.rattle(0.1, seed=1)
    return crystal


def cristobalite() -> Atoms:
    """Silica with straight bridges of oxygen between silicon atoms on a diamond lattice."""
    corner = np.array([1.0, 1.0, 1.0])
    bridges = [corner, [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
    silicon = bulk("Si", "diamond", a=7.16)
    return silicon + Atoms("O4", positions=silicon.positions[0] + 7.16 / 8.0 * np.array(bridges))


def alloy() -> Atoms:
    """Two atoms each of niobium, molybdenum, tantalum and tungsten on a bcc lattice."""
    crystal = bulk("W", "bcc", a=3.24, cubic=True).repeat((2, 2, 1))
    crystal.symbols = "NbMoTaWWTaMoNb"
    return crystal


# By the elements of a potential, in the order of the periodic table.
COMPOUNDS: dict[tuple[str, ...], Callable[[], Atoms]] = {
    ("O", "Mg"): lambda: bulk("MgO", "rocksalt", a=4.25, cubic=True),
    ("O", "Si"): cristobalite,
    ("Nb", "Mo", "Ta", "W"): alloy,
}


def triclinic(cutoff: float) -> Atoms:
    """A crystal of three elements, every edge of its skewed cell shorter than the cutoff."""
    cell = cutoff * np.array([[0.9, 0.0, 0.0], [0.2, 0.8, 0.0], [-0.15, 0.25, 0.95]])
    places = [[0.1, 0.1, 0.1], [0.6, 0.5, 0.2], [0.3, 0.7, 0.7]]
    return Atoms("OSiC", scaled_positions=places, cell=cell, pbc=True)


# Conventional lattice constant in units of the nearest-neighbour distance.
CRYSTALS = {
    "fcc": ("Al", 2.0**0.5),
    "bcc": ("Fe", 2.0 / 3.0**0.5),
    "diamond": ("Si", 4.0 / 3.0**0.5),
    "rocksalt": ("NaCl", 2.0),
}


def crystal(structure: str, cutoff: float) -> Atoms:
    """A perfect cubic crystal, nearest neighbours at 0.6 cutoffs."""
    symbols, ratio = CRYSTALS[structure]
    return bulk(symbols, structure, a=0.6 * cutoff * ratio, cubic=True)


def dimer(symbols: str, distance: float) -> Atoms:
    """Two atoms this far apart in Å, along no axis."""
    return Atoms(symbols, positions=[[0, 0, 0], [0.48 * distance, 0.6 * distance, 0.64 * distance]])


def assortment(cutoff: float) -> list[Atoms]:
    """Open and periodic structures, an atom alone, an ion and a radical, for one batch."""
    ammonium = Atoms(
        "NH4",
        positions=[
            [0, 0, 0],
            [0.6, 0.6, 0.6],
            [-0.6, -0.6, 0.6],
            [-0.6, 0.6, -0.6],
            [0.6, -0.6, -0.6],
        ],
        info={"charge": 1},
    )
    hydroxide = Atoms("OH", positions=[[0, 0, 0], [0.2, 0.3, 0.9]], info={"charge": -1})
    radical = molecule("CH3")
    radical.info["spin"] = 2
    slab = triclinic(cutoff)
    slab.pbc = (True, True, False)
    return [ethanol(), triclinic(cutoff), Atoms("C"), ammonium, slab, hydroxide, radical]


def graph_of(
    potential: Potential, atoms: Atoms | Sequence[Atoms], cutoff: float | None = None
) -> AtomGraph:
    """The graph of one or several structures; edges reach the potential's cutoff by default."""
    structures = [atoms] if isinstance(atoms, Atoms) else atoms
    return AtomGraph.from_atoms(
        [known(potential, structure) for structure in structures],
        cutoff or potential.cutoff,
        far_cutoff=potential.far_cutoff,
        dtype=potential.dtype,
    )


def known(potential: Potential, atoms: Atoms) -> Atoms:
    """The structure; without its periodic images where the potential reads all pairs of atoms."""
    if np.isinf(potential.far_cutoff):
        atoms = atoms.copy()
        atoms.pbc = False
    return atoms


def evaluate(
    potential: Potential, atoms: Atoms | Sequence[Atoms], cutoff: float | None = None
) -> dict[str, Tensor]:
    """All properties; edges reach the potential's cutoff unless another is given."""
    return potential(graph_of(potential, atoms, cutoff), PROPERTIES)


def along_line(
    potential: Potential,
    structures: Sequence[Atoms],
    direction: np.ndarray,
    cutoff: float | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Energies (B,) and their first two derivatives as all atoms move along ``direction`` (N, 3).

    The derivatives are exact, by backward and double backward, at the structures as they are.
    """
    graph = graph_of(potential, structures, cutoff)
    velocity = torch.from_numpy(np.tile(direction, (len(structures), 1)))
    shift = torch.zeros(graph.num_structures, dtype=torch.float64, requires_grad=True)

    def moved(index: Tensor) -> Tensor:
        first, second = index
        return shift[graph.batch[first], None] * (velocity[second] - velocity[first])

    moving = replace(
        graph,
        edge_vectors=graph.edge_vectors + moved(graph.edge_index),
        far_vectors=graph.far_vectors + moved(graph.far_index),
    )
    energy = potential(moving, ("energy",))["energy"]
    (slope,) = torch.autograd.grad(energy.sum(), shift, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), shift)
    return energy.detach(), slope.detach(), curvature


def assert_close(found: Tensor, expected: Tensor, relative: float) -> None:
    """Largest difference against the largest expected value, which must be worth comparing."""
    scale = expected.nan_to_num().abs().max().item()
    assert scale > 1e-6, "the expected values vanish: the comparison would prove nothing"
    torch.testing.assert_close(found, expected, rtol=0.0, atol=relative * scale, equal_nan=True)
