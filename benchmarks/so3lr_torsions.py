"""Torsion of butane and biphenyl with SO3LR, beside coupled-cluster calculations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.constraints import FixInternals
from ase.neighborlist import build_neighbor_list, get_connectivity_matrix
from ase.optimize import BFGS
from matplotlib.figure import Figure
from scipy.sparse.csgraph import connected_components

from ase_geomformer import PotentialCalculator
from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.runs.style import BLUE, ORANGE, dress, new_figure

FMAX, STEPS = 1e-3, 300
INTER_RING = 1.49  # Å, to start from
# Energies in kcal/mol by angle. Butane: G. D. Smith, R. L. Jaffe, J. Phys. Chem. 100, 18718 (1996),
# CCSD(T)/cc-pVTZ. Biphenyl: M. P. Johansson, J. Olsen, J. Chem. Theory Comput. 4, 1460 (2008), best
# estimate from CCSD(T), 7.88 and 8.94 kJ/mol.
REFERENCE = {
    "butane": {"gauche": 0.59, "120": 3.31, "0": 5.48},
    "biphenyl": {"0": 7.88 / 4.184, "90": 8.94 / 4.184},
}


def butane() -> tuple[Atoms, list[int]]:
    """The molecule, and the atoms of its middle torsion."""
    atoms = molecule("trans-butane")
    return atoms, carbon_chain(atoms)


def carbon_chain(atoms: Atoms) -> list[int]:
    """Four carbon atoms, from one end to the other."""
    bonds = bonded(atoms)
    carbons = np.flatnonzero(atoms.numbers == 6)
    end = next(i for i in carbons if bonds[i, carbons].sum() == 1)
    chain = [int(end)]
    while len(chain) < len(carbons):
        chain.append(next(int(j) for j in carbons if bonds[chain[-1], j] and j not in chain))
    return chain


def biphenyl() -> tuple[Atoms, list[int]]:
    """The molecule, planar, and the atoms of the torsion between its rings."""
    ring = molecule("C6H6")
    gone = int(np.flatnonzero(ring.numbers == 1)[0])
    carbon = int(np.argmin(np.where(ring.numbers == 6, ring.get_distances(gone, range(12)), 9.0)))
    side = next(i for i in range(12) if ring.numbers[i] == 6 and bonded(ring)[carbon, i])
    towards = ring.positions[gone] - ring.positions[carbon]
    towards /= np.linalg.norm(towards)
    other = ring.copy()
    other.positions = 2 * ring.positions[carbon] + INTER_RING * towards - other.positions
    del ring[gone], other[gone]
    places = [i - (i > gone) for i in (side, carbon)]
    return ring + other, [*places, places[1] + 11, places[0] + 11]


def bonded(atoms: Atoms, without: tuple[int, int] | None = None) -> np.ndarray:
    """Which atoms are joined by bonds, but for one of them."""
    matrix = get_connectivity_matrix(build_neighbor_list(atoms).nl).toarray()
    matrix = np.maximum(matrix, matrix.T).astype(bool)
    np.fill_diagonal(matrix, val=False)
    if without is not None:
        matrix[without] = matrix[without[::-1]] = False
    return matrix


def turned(atoms: Atoms, torsion: list[int], angle: float) -> None:
    """Turn what is beyond the middle bond until the torsion has an angle."""
    parts = connected_components(bonded(atoms, (torsion[1], torsion[2])), directed=False)[1]
    beyond = np.flatnonzero(parts == parts[torsion[2]])
    atoms.set_dihedral(*torsion, angle, indices=beyond)


def minimum(atoms: Atoms, potential: PotentialCalculator) -> tuple[float, bool]:
    """Relax, constraints kept; energy in kcal/mol."""
    atoms.calc = potential
    with BFGS(atoms, logfile=None) as optimizer:
        done = bool(optimizer.run(fmax=FMAX, steps=STEPS))
    return atoms.get_potential_energy() * units.mol / units.kcal, done


# Angles to scan, and where minima are sought.
MOLECULES = {
    "butane": (butane, np.arange(180.0, -1.0, -10.0), {"trans": 180.0, "gauche": 65.0}),
    "biphenyl": (biphenyl, np.arange(90.0, -1.0, -7.5), {"minimum": 42.0}),
}


def torsions(potential: str, _: Path) -> dict[str, Any]:
    """Energies above the lowest minimum, kcal/mol, all else relaxed, and the minima."""
    calculator = PotentialCalculator(potential, dtype="float64")
    rows = {}
    for name, (build, angles, guesses) in MOLECULES.items():
        start, torsion = build()
        minima, converged = {}, []
        for kind, guess in guesses.items():
            atoms = start.copy()
            turned(atoms, torsion, guess)
            energy, done = minimum(atoms, calculator)
            angle = atoms.get_dihedral(*torsion)
            minima[kind] = {"energy": energy, "angle": min(angle, 360.0 - angle)}
            converged.append(done)
        energies, atoms = [], start.copy()
        for angle in angles:
            atoms.set_constraint()
            turned(atoms, torsion, angle)
            atoms.set_constraint(FixInternals(dihedrals_deg=[[angle, torsion]], epsilon=1e-7))
            energy, done = minimum(atoms, calculator)
            energies.append(energy)
            converged.append(done)
        lowest = min(entry["energy"] for entry in minima.values())
        for entry in minima.values():
            entry["energy"] -= lowest
        rows[name] = {
            "angles": angles.tolist(),
            "energies": (np.array(energies) - lowest).tolist(),
            "minima": minima,
            "reference": REFERENCE[name],
            "converged": all(converged),
        }
    return {"rows": rows}


def at(row: dict[str, Any], place: str) -> float:
    """Energy of SO3LR at a minimum of this name, or an angle."""
    if place in row["minima"]:
        return float(row["minima"][place]["energy"])
    return float(row["energies"][row["angles"].index(float(place))])


def draw(rows: dict[str, dict[str, Any]]) -> Figure:
    """Both curves, with the references as points."""
    figure = new_figure(7.6, 3.2)
    for axes, (name, row) in zip(figure.subplots(1, 2), rows.items(), strict=True):
        dress(axes)
        axes.plot(row["angles"], row["energies"], color=BLUE, marker=".", label="SO3LR")
        places = {
            place: row["minima"][place]["angle"] if place in row["minima"] else float(place)
            for place in row["reference"]
        }
        axes.plot(
            list(places.values()),
            [row["reference"][place] for place in places],
            "D",
            color=ORANGE,
            label="CCSD(T)",
        )
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("torsion (degrees)")
        axes.set_ylabel("energy (kcal/mol)")
        axes.legend(frameon=False)
    return figure


def section(part: Mapping[str, Any]) -> str:
    """What docs/so3lr.md says of it."""
    places = {
        "butane": {"gauche": "butane, gauche", "120": "butane, 120°", "0": "butane, 0°"},
        "biphenyl": {"0": "biphenyl, planar", "90": "biphenyl, 90°"},
    }
    rows = [
        (
            text,
            f"{at(part['rows'][name], place):.2f}",
            f"{part['rows'][name]['reference'][place]:.2f}",
        )
        for name, texts in places.items()
        for place, text in texts.items()
    ]
    butane, biphenyl = (part["rows"][name]["minima"] for name in places)
    return f"""## Torsions

Energies above the minimum in kcal/mol, all but the torsion relaxed, beside coupled-cluster
calculations: butane, G. D. Smith, R. L. Jaffe, J. Phys. Chem. 100, 18718 (1996); biphenyl, M. P.
Johansson, J. Olsen, J. Chem. Theory Comput. 4, 1460 (2008).

![Torsion of butane and biphenyl](images/so3lr-torsions.png)

{table(("", "SO3LR", "CCSD(T)"), rows)}

The gauche minimum of butane is at {butane["gauche"]["angle"]:.1f}°. The minimum of biphenyl is at
{biphenyl["minimum"]["angle"]:.1f}°, that of electron diffraction at 44.4 ± 1.2° (A. Almenningen et
al., J. Mol. Struct. 128, 59 (1985)): SO3LR takes conjugated rings to be flatter than they are.
so3krates-torch gives the same energies along this torsion, to 0.001 kcal/mol with the published
sums."""
