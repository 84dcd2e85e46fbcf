"""What dispersion beyond the cutoff amounts to in liquids and crystals with SO3LR."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from so3lr_crystals import benzene, ice
from so3lr_liquid import water_box

from ase_geomformer import PotentialCalculator
from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.recipes import RelaxSettings, relax

KCAL = units.mol / units.kcal
CUTOFFS = (8.0, 10.0, 12.0, 16.0, 20.0, 24.0)  # Å
USUAL = 12.0
# Each with its number of molecules and its bulk modulus in GPa, roughly, from experiment.
STRUCTURES = {
    "water, liquid": (water_box, 64, 2.2),
    "ice Ih": (ice, 16, 9.0),
    "benzene, crystal": (benzene, 4, 8.0),
}


def tail(potential: str, _: Path) -> dict[str, Any]:
    """Energy per molecule and pressure by cutoff of the dispersion, charges by Ewald's sum.

    All less their value for an endless cutoff, which goes as the inverse third power of the cutoff.
    """
    rows = {}
    for name, (build, molecules, modulus) in STRUCTURES.items():
        # Molecules on a grid and turned at random overlap, which is not what a liquid looks like.
        atoms = relax(build(), potential, RelaxSettings(fmax=0.5, steps=100), progress=False).atoms
        found = np.array([of_cutoff(potential, atoms, cutoff) for cutoff in CUTOFFS])
        # The cutoff is that of a sum that is switched off over the last 2 Å.
        middle = np.array(CUTOFFS[-2:]) - 1.0
        steep = (found[-1] - found[-2]) / (middle[1] ** -3 - middle[0] ** -3)
        left_out = found - (found[-1] - steep * middle[1] ** -3)
        rows[name] = {
            "energy_kcal": (left_out[:, 0] * KCAL / molecules).tolist(),
            "pressure_GPa": (left_out[:, 1] / units.GPa).tolist(),
            "bulk_modulus_GPa": modulus,
        }
    return {"rows": rows, "cutoffs": CUTOFFS}


def of_cutoff(potential: str, atoms: Atoms, cutoff: float) -> tuple[float, float]:
    """Energy in eV and pressure in eV/Å^3."""
    atoms.calc = PotentialCalculator(
        potential, dtype="float64", ewald=True, long_range_cutoff=cutoff, compile=False
    )
    return atoms.get_potential_energy(), -float(np.trace(atoms.get_stress(voigt=False)) / 3.0)


def section(part: Mapping[str, Any]) -> str:
    """What docs/so3lr.md says of it."""
    usual = list(part["cutoffs"]).index(USUAL)
    rows = [
        (
            name,
            *(f"{energy:.3f}" for energy in entry["energy_kcal"][:-1]),
            f"{entry['pressure_GPa'][usual]:.4f}",
            f"{100.0 * entry['pressure_GPa'][usual] / entry['bulk_modulus_GPa']:.1f} %",
        )
        for name, entry in part["rows"].items()
    ]
    heads = [f"{cutoff:g} Å" for cutoff in part["cutoffs"][:-1]]
    return f"""## Dispersion beyond the cutoff

In periodic structures dispersion is switched off over the last 2 Å before {USUAL:g} Å, and there is
no correction for what lies beyond. What that leaves out, by cutoff, in kcal/mol per molecule; with
{USUAL:g} Å also the pressure (GPa) that is too high for it, and what that is of the bulk modulus,
which is about the share by which volumes come out too large:

{table(("", *heads, "pressure", "of the volume"), rows)}

Where that matters, a larger cutoff with Ewald's sum takes it in: `ewald=True,
long_range_cutoff=20`."""
