"""Harmonic wavenumbers of small molecules with SO3LR beside experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.optimize import BFGS

from ase_geomformer import PotentialCalculator
from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.hessian import hessian

DIATOMICS = (
    "K. P. Huber, G. Herzberg, Constants of Diatomic Molecules (1979), as in the NIST Chemistry "
    "WebBook"
)
FUNDAMENTALS = (
    "T. Shimanouchi, Tables of Molecular Vibrational Frequencies I, NSRDS-NBS 39 (1972); those of "
    "diatomics from their constants"
)


@dataclass(frozen=True)
class Measured:
    """Wavenumbers of a molecule in 1/cm, each mode once for each of its directions.

    Attributes
    ----------
    harmonic : tuple of int
        Of the harmonic force field that was fitted to the spectra of several isotopologues.
    fundamental : tuple of int
        Of the bands, anharmonicity included.
    source : str
        Of the harmonic ones.
    """

    harmonic: tuple[int, ...]
    fundamental: tuple[int, ...]
    source: str


MEASURED = {
    "H2": Measured((4401,), (4161,), DIATOMICS),
    "N2": Measured((2359,), (2330,), DIATOMICS),
    "CO": Measured((2170,), (2143,), DIATOMICS),
    "HF": Measured((4138,), (3961,), DIATOMICS),
    "HCl": Measured((2991,), (2886,), DIATOMICS),
    "H2O": Measured(
        (1648, 3832, 3943),
        (1595, 3657, 3756),
        "W. S. Benedict, N. Gailar, E. K. Plyler, J. Chem. Phys. 24, 1139 (1956)",
    ),
    "CO2": Measured(
        (673, 673, 1354, 2397),
        (667, 667, 1333, 2349),
        "A. Chédin, J. Mol. Spectrosc. 76, 430 (1979)",
    ),
    "HCN": Measured(
        (727, 727, 2129, 3443),
        (712, 712, 2097, 3311),
        "G. Strey, I. M. Mills, Mol. Phys. 26, 129 (1973)",
    ),
    "NH3": Measured(
        (1022, 1691, 1691, 3506, 3577, 3577),
        (950, 1627, 1627, 3337, 3444, 3444),
        "J. L. Duncan, I. M. Mills, Spectrochim. Acta 20, 523 (1964)",
    ),
    "CH4": Measured(
        (1367, 1367, 1367, 1583, 1583, 3026, 3157, 3157, 3157),
        (1306, 1306, 1306, 1534, 1534, 2917, 3019, 3019, 3019),
        "D. L. Gray, A. G. Robiette, Mol. Phys. 37, 1901 (1979)",
    ),
}


def frequencies(potential: str, _: Path) -> dict[str, Any]:
    """Wavenumbers from second derivatives at the relaxed geometry, and what was measured."""
    rows = {}
    for name, measured in MEASURED.items():
        atoms = molecule(name)
        relaxed(atoms, potential)
        roots = np.repeat(atoms.get_masses() ** -0.5, 3)
        matrix = hessian(atoms.calc, atoms) * roots[:, None] * roots
        squared = np.linalg.eigvalsh(matrix)[-len(measured.harmonic) :]
        scale = units._hbar * 1e10 / np.sqrt(units._e * units._amu) / units.invcm
        found = (scale * np.sqrt(squared.clip(min=0))).tolist()
        rows[name] = {"found": found, **asdict(measured)}
    return {"rows": rows, "source of fundamentals": FUNDAMENTALS}


def relaxed(atoms: Atoms, potential: str, steps: int = 300) -> bool:
    """Relax a molecule in place, and tell whether that converged."""
    atoms.calc = PotentialCalculator(potential, dtype="float64")
    with BFGS(atoms, logfile=None) as optimizer:
        return bool(optimizer.run(fmax=1e-3, steps=steps))


def section(part: Mapping[str, Any]) -> str:
    """What docs/so3lr.md says of it."""
    rows, errors = [], []
    sources: dict[str, list[str]] = {}
    for name, entry in part["rows"].items():
        found, harmonic, fundamental = (
            np.round(entry[key]).astype(int) for key in ("found", "harmonic", "fundamental")
        )
        errors += list(np.abs(found - harmonic))
        rows.append((name, *map(distinct, (found, harmonic, fundamental))))
        sources.setdefault(entry["source"], []).append(name)
    references = "; ".join(f"{', '.join(names)}: {text}" for text, names in sources.items())
    return f"""## Vibrations

Harmonic wavenumbers in 1/cm at SO3LR's geometry, from exact second derivatives, beside those of
harmonic force fields from experiment; the mean absolute difference is {np.mean(errors):.0f} 1/cm.
HF and HCl are far off, as other small inorganic molecules are. The measured bands are lower, as
they are anharmonic.

{table(("molecule", "SO3LR", "harmonic, experiment", "bands, experiment"), rows)}

Harmonic wavenumbers from experiment, rounded: {references}. Bands: {FUNDAMENTALS}."""


def distinct(values: np.ndarray) -> str:
    """Each of equal wavenumbers once."""
    kept = [value for i, value in enumerate(values) if i == 0 or value - values[i - 1] > 3]
    return ", ".join(map(str, kept))
