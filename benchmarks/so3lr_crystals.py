"""Cells of molecular crystals with SO3LR, relaxed, beside experiment at low temperature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import make_supercell, molecule
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal

from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.recipes import RelaxSettings, relax

# Å; below the distance of second neighbours in ice.
HYDROGEN_BOND, OXYGEN_HYDROGEN = 3.2, 0.97
Build = Callable[[], Atoms]
ARRANGEMENTS = 100  # of protons in ice, of which the one with the least dipole is taken


def ice(a: float = 4.4969, c: float = 7.3211) -> Atoms:
    """Ice Ih, 16 molecules, protons at random within the ice rules.

    K. Roettger et al., Acta Cryst. B 50, 644 (1994), 10 K; oxygen as A. Goto et al., J. Chem. Phys.
    93, 1412 (1990). Protons by the method of V. Buch et al., J. Phys. Chem. B 102, 8641 (1998).
    """
    cell = [a, a, c, 90, 90, 120]
    oxygen = crystal("O", [(1 / 3, 2 / 3, 0.0622)], spacegroup=194, cellpar=cell)
    oxygen = make_supercell(oxygen, [[2, 0, 0], [1, 2, 0], [0, 0, 1]])
    first, second, vectors = neighbor_list("ijD", oxygen, HYDROGEN_BOND)
    once = first < second
    ends, vectors = np.stack([first[once], second[once]], axis=1), vectors[once]
    rng = np.random.default_rng(0)
    found = [donors(ends, len(oxygen), rng) for _ in range(ARRANGEMENTS)]
    signs = min(found, key=lambda sign: np.linalg.norm(sign @ vectors))
    giver = np.where(signs > 0, ends[:, 0], ends[:, 1])
    towards = (signs / np.linalg.norm(vectors, axis=1))[:, None] * vectors
    protons = oxygen.positions[giver] + OXYGEN_HYDROGEN * towards
    return oxygen + Atoms(f"H{len(protons)}", protons)


def donors(ends: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """1 for bonds whose first molecule gives the proton, else -1; each molecule gives two."""
    signs = rng.choice([-1, 1], size=len(ends))
    excess = np.zeros(number, dtype=int)
    np.add.at(excess, ends[:, 0], signs)
    np.add.at(excess, ends[:, 1], -signs)
    while excess.any():
        bond = rng.integers(len(ends))
        turned = -2 * signs[bond] * np.array([1, -1])
        if np.abs(excess[ends[bond]] + turned).sum() <= np.abs(excess[ends[bond]]).sum():
            signs[bond] *= -1
            excess[ends[bond]] += turned
    return signs


def urea() -> Atoms:
    """S. Swaminathan, B. M. Craven, R. K. McMullan, Acta Cryst. B 40, 300 (1984), 12 K."""
    places = [
        (0.0, 0.5, 0.328),
        (0.0, 0.5, 0.596),
        (0.145, 0.645, 0.178),
        (0.257, 0.757, 0.283),
        (0.144, 0.644, -0.038),
    ]
    return crystal("CONHH", places, spacegroup=113, cellpar=[5.565, 5.565, 4.684, 90, 90, 90])


def urea_molecule() -> Atoms:
    """A molecule of the crystal: the atoms within 2.4 Å of a carbon atom."""
    solid = urea()
    vectors = solid.get_distances(0, range(len(solid)), mic=True, vector=True)
    near = np.linalg.norm(vectors, axis=1) < 2.4
    return Atoms(solid.numbers[near], vectors[near])


def benzene() -> Atoms:
    """W. I. F. David et al., Physica B 180-181, 597 (1992), deuterated, 4 K."""
    places = [
        (-0.057, 0.139, -0.005),
        (-0.134, 0.046, 0.126),
        (-0.077, -0.093, 0.130),
        (-0.098, 0.245, -0.018),
        (-0.241, 0.079, 0.222),
        (-0.137, -0.163, 0.231),
    ]
    return crystal("CCCHHH", places, spacegroup=61, cellpar=[7.3551, 9.3712, 6.6994, 90, 90, 90])


def carbon_dioxide() -> Atoms:
    """W. H. Keesom, J. W. L. Koehler, Physica 1, 655 (1934), extrapolated to 0 K."""
    places = [(0.0, 0.0, 0.0), (0.118, 0.118, 0.118)]
    return crystal("CO", places, spacegroup=205, cellpar=[5.54] * 3 + [90] * 3)


X23 = "A. M. Reilly, A. Tkatchenko, J. Chem. Phys. 139, 024705 (2013)"
# Lattice energies from enthalpies of sublimation, in kJ/mol, and their source.
MEASURED = {
    "ice Ih": (-58.8, "E. Whalley, J. Chem. Phys. 81, 4087 (1984)"),
    "urea": (-102.5, X23),
    "benzene": (-51.7, X23),
    "carbon dioxide": (-28.4, X23),
}
KCAL = units.mol / units.kcal
# Each with its molecule and their number, and the lengths that its symmetry leaves as multiples of
# its cell's.
CRYSTALS: dict[str, tuple[Build, Build, int, dict[str, tuple[float, ...]]]] = {
    "ice Ih": (ice, partial(molecule, "H2O"), 16, {"a": (0.5, 3**-0.5, 0), "c": (0, 0, 1)}),
    "urea": (urea, urea_molecule, 2, {"a": (1, 1, 0), "c": (0, 0, 1)}),
    "benzene": (
        benzene,
        partial(molecule, "C6H6"),
        4,
        {"a": (1, 0, 0), "b": (0, 1, 0), "c": (0, 0, 1)},
    ),
    "carbon dioxide": (carbon_dioxide, partial(molecule, "CO2"), 4, {"a": (1, 1, 1)}),
}


def crystals(potential: str, _: Path) -> dict[str, Any]:
    """Lattice constants and volumes per molecule, relaxed, and those of experiment."""
    settings = RelaxSettings(fmax=0.005, smax_GPa=0.005, cell="full", steps=300)
    rows = {}
    free = RelaxSettings(fmax=settings.fmax)
    for name, (build, build_molecule, molecules, lengths) in CRYSTALS.items():
        atoms = build()
        result = relax(atoms, potential, settings, progress=False)
        alone = relax(build_molecule(), potential, free, progress=False).energy
        measured, source = MEASURED[name]
        rows[name] = {
            "converged": result.converged,
            "steps": result.steps,
            "lattice_energy_kcal": KCAL * (result.energy / molecules - alone),
            "experimental_lattice_energy_kcal": measured * units.kJ / units.kcal,
            "lattice_energy_source": source,
            "found": constants(result.atoms, lengths),
            "experiment": constants(atoms, lengths),
            "volume_A3": result.atoms.get_volume() / molecules,
            "experimental_volume_A3": atoms.get_volume() / molecules,
        }
    return {"rows": rows}


def constants(atoms: Atoms, lengths: dict[str, tuple[float, ...]]) -> dict[str, float]:
    """Lattice constants, Å, each the mean of those that symmetry makes equal."""
    own = atoms.cell.lengths()
    return {
        name: float(np.dot(own, factors) / np.count_nonzero(factors))
        for name, factors in lengths.items()
    }


def section(part: Mapping[str, Any]) -> str:
    """What docs/so3lr.md says of it."""
    rows = []
    for name, entry in part["rows"].items():
        found, measured = entry["found"], entry["experiment"]
        volume = 100.0 * (entry["volume_A3"] / entry["experimental_volume_A3"] - 1.0)
        rows.append(
            (
                name,
                ", ".join(f"{axis} {length:.3f}" for axis, length in found.items()),
                ", ".join(f"{axis} {length:.3f}" for axis, length in measured.items()),
                f"{entry['volume_A3']:.2f}",
                f"{entry['experimental_volume_A3']:.2f}",
                f"{volume:+.1f} %",
                f"{entry['lattice_energy_kcal']:.1f}",
                f"{entry['experimental_lattice_energy_kcal']:.1f}",
            )
        )
    unfinished = [name for name, entry in part["rows"].items() if not entry["converged"]]
    ending = f" Not converged: {', '.join(unfinished)}." if unfinished else ""
    heads = ("crystal", "SO3LR", "experiment", "volume", "experiment", "difference")
    return f"""## Molecular crystals

Lattice constants (Å) and volumes per molecule (Å³) at rest, cells and atoms relaxed without
symmetry to 0.005 eV/Å and 5 MPa, beside experiment at low temperature, which zero-point motion
makes larger by a few percent; and energies per molecule less that of the free molecule (kcal/mol).
Ice Ih has 16 molecules with disordered protons; its a is the mean of both directions of the
layer.{ending}

{table((*heads, "energy", "experiment"), rows)}

**Ice and urea keep their structures, the others do not**: benzene turns into a cubic crystal, and
solid carbon dioxide lies far above its molecules and collapses. This is SO3LR's own: clusters of
thirty-two molecules do the same, and so3krates-torch has the same energies of the crystal, to 0.001
kcal/mol with the published sums. Check a crystal's cell before anything else is computed with it.

Experiment: ice K. Röttger et al., Acta Cryst. B 50, 644 (1994), 10 K; urea S. Swaminathan et al.,
Acta Cryst. B 40, 300 (1984), 12 K; benzene, deuterated, W. I. F. David et al., Physica B 180-181,
597 (1992), 4 K; carbon dioxide W. H. Keesom, J. W. L. Köhler, Physica 1, 655 (1934), extrapolated
to 0 K. Lattice energies, from enthalpies of sublimation less the vibrations' share: {X23}, ice
{MEASURED["ice Ih"][1]}."""
