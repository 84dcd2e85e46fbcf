"""Potentials as forces of OpenMM, for all atoms of a system or for some of them.

The force is a ``PythonForce``, which OpenMM has from 8.5 on. It is pickled and serialised with its
system: the potential is named, not contained, and loaded where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms, units

from ase_geomformer.calculator import PotentialCalculator

# eV in kJ/mol, and nm in Å.
_ENERGY, _LENGTH = units.mol / units.kJ, 10.0


class PotentialForce:
    """What OpenMM calls for energy and forces.

    Parameters
    ----------
    potential : str or path
        By its name or path, so that a pickle holds no weights.
    numbers : sequence of int
        Atomic numbers of the atoms that it acts on.
    particles : sequence of int, optional
        Which particles of the system they are; all by default.
    periodic : bool
    charge, spin : float
        Total charge in e and spin multiplicity 2S+1.
    keywords : dict
        :class:`~ase_geomformer.runtime.settings.CalculatorSettings`.
    """

    def __init__(
        self,
        potential: str | os.PathLike[str],
        numbers: Sequence[int],
        particles: Sequence[int] | None = None,
        *,
        periodic: bool = False,
        charge: float = 0.0,
        spin: float = 1.0,
        keywords: dict[str, Any] | None = None,
    ) -> None:
        self.potential, self.keywords = os.fspath(potential), dict(keywords or {})
        self.numbers = [int(number) for number in numbers]
        self.particles = None if particles is None else [int(index) for index in particles]
        self.periodic, self.electrons = periodic, {"charge": charge, "spin": spin}
        self._atoms: Atoms | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_atoms": None}

    def __call__(self, state: Any) -> tuple[float, np.ndarray]:
        """Energy in kJ/mol and forces (N, 3) in kJ/mol/nm, zero on other particles."""
        place = np.asarray(state.getPositions(asNumpy=True)._value, dtype=np.float64) * _LENGTH
        chosen = slice(None) if self.particles is None else self.particles
        atoms = self._structure()
        if self.periodic:
            vectors = state.getPeriodicBoxVectors(asNumpy=True)._value
            atoms.set_cell(np.asarray(vectors, dtype=np.float64) * _LENGTH)
        atoms.set_positions(place[chosen])
        forces = np.zeros_like(place)
        forces[chosen] = atoms.get_forces() * (_ENERGY * _LENGTH)
        return atoms.get_potential_energy() * _ENERGY, forces

    def _structure(self) -> Atoms:
        if self._atoms is None:
            self._atoms = Atoms(self.numbers, pbc=self.periodic, info=dict(self.electrons))
            self._atoms.calc = PotentialCalculator(self.potential, **self.keywords)
        return self._atoms


def openmm_force(
    potential: str | os.PathLike[str],
    topology: Any,
    particles: Sequence[int] | None = None,
    *,
    periodic: bool | None = None,
    charge: float = 0.0,
    spin: float = 1.0,
    **keywords: Any,
) -> Any:
    """A force to add to a system of OpenMM.

    With some of the particles only, it is the inner part of a mechanical embedding: the caller
    leaves out, of the other forces, what acts among these particles. OpenMM does not know that they
    are one molecule, which barostats are to move as a whole, unless some other force has its bonds.

    Parameters
    ----------
    potential : str or path
    topology : openmm.app.Topology
        With the elements of all particles, and with a box where the system is periodic.
    particles : sequence of int, optional
        Which particles the potential acts on; all by default.
    periodic : bool, optional
        Whether they see their own periodic images: a molecule in a box of solvent does not. By
        default, as the topology.
    charge, spin : float
        Total charge in e and spin multiplicity 2S+1 of these particles.
    **keywords
        :class:`~ase_geomformer.runtime.settings.CalculatorSettings`.

    Returns
    -------
    openmm.PythonForce

    Raises
    ------
    ImportError
        If OpenMM is not installed, or older than 8.5.
    ValueError
        If a particle has no element or there is none, or the potential does not know one.
    """
    try:
        from openmm import PythonForce
    except ImportError as error:
        raise ImportError(
            f"OpenMM 8.5 or newer is needed ({error}): pip install 'ase-geomformer[openmm]'"
        ) from error
    elements = [atom.element for atom in topology.atoms()]
    chosen = range(len(elements)) if particles is None else particles
    if not len(chosen):
        raise ValueError("the potential would act on no particle")
    if any(elements[index] is None for index in chosen):
        raise ValueError("a particle without an element, such as a virtual site, has no energy")
    numbers = [elements[index].atomic_number for index in chosen]
    if periodic is None:
        periodic = topology.getPeriodicBoxVectors() is not None
    called = PotentialForce(
        potential,
        numbers,
        particles,
        periodic=periodic,
        charge=charge,
        spin=spin,
        keywords=keywords,
    )
    # Loaded here, so that an unknown name or element is an error now.
    PotentialCalculator(called.potential, **called.keywords).potential.check_elements(numbers)
    force = PythonForce(called)
    force.setUsesPeriodicBoundaryConditions(periodic)
    return force
