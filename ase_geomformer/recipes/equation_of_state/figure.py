"""The figure of an equation of state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.recipes.equation_of_state.fit import curve_of
from ase_geomformer.runs.style import COLOURS, COLUMN, GREY, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ase_geomformer.recipes.equation_of_state.result import EOSResult


@drawing
def plot(result: EOSResult) -> Figure:
    """Energy per atom above the minimum against volume per atom, with the fitted curve."""
    volumes, energies, fitted = result.volumes, result.energies, result.fit
    num_atoms = len(result.atoms)
    figure = new_figure(COLUMN, 2.9)
    axes = figure.subplots()
    lowest = fitted.energy_eV if fitted else float(energies.min())
    if fitted:
        fine = np.linspace(volumes.min(), volumes.max(), 200)
        curve = curve_of(volumes, energies, fitted.equation)(fine) - lowest
        label = fitted.equation
        axes.plot(fine / num_atoms, 1000 * curve / num_atoms, color=COLOURS["energy"], label=label)
        axes.axvline(
            fitted.volume_A3 / num_atoms, color=GREY, ls="--", lw=1.0, label="minimum of the fit"
        )
        axes.set_title(
            f"V = {fitted.volume_A3 / num_atoms:.3f} Å³/atom\n"
            f"B = {fitted.bulk_modulus_GPa:.2f} ± {fitted.bulk_modulus_error_GPa:.1g} GPa, "
            f"B' = {fitted.bulk_modulus_derivative:.2f} "
            f"± {fitted.bulk_modulus_derivative_error:.1g}",
            loc="left",
        )
    heights = 1000 * (energies - lowest) / num_atoms
    axes.plot(volumes / num_atoms, heights, "o", color="black", ms=4, label="computed")
    axes.set_xlabel("volume (Å³/atom)")
    axes.set_ylabel("energy above the minimum (meV/atom)")
    axes.legend(framealpha=0.85, edgecolor="none", loc="upper center")
    dress(axes)
    return figure
