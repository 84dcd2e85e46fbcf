"""Figures of scans of volumes and strains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.accuracy.style import COLOURS, GREY, dress, new_figure
from ase_geomformer.recipes.eos_fit import EOSFit, curve_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COMPONENTS = ("xx", "yy", "zz", "yz", "xz", "xy")


def plot_eos(
    volumes: np.ndarray, energies: np.ndarray, fitted: EOSFit | None, num_atoms: int
) -> Figure:
    """Energy per atom above the minimum against volume per atom, with the fitted curve.

    Parameters
    ----------
    volumes : array (n,)
        Å^3.
    energies : array (n,)
        eV.
    fitted : EOSFit or None
    num_atoms : int
    """
    figure = new_figure(6.0, 4.2)
    axes = figure.subplots()
    lowest = fitted.energy_eV if fitted else float(energies.min())
    if fitted:
        fine = np.linspace(volumes.min(), volumes.max(), 200)
        curve = curve_of(volumes, energies, fitted.equation)(fine) - lowest
        label = fitted.equation
        axes.plot(fine / num_atoms, 1000 * curve / num_atoms, color=COLOURS["energy"], label=label)
        axes.axvline(fitted.volume_A3 / num_atoms, color=GREY, ls="--", lw=1.0)
        axes.set_title(
            f"V = {fitted.volume_A3 / num_atoms:.3f} Å³/atom, "
            f"B = {fitted.bulk_modulus_GPa:.2f} ± {fitted.bulk_modulus_error_GPa:.1g} GPa, "
            f"B' = {fitted.bulk_modulus_derivative:.2f} "
            f"± {fitted.bulk_modulus_derivative_error:.1g}",
            fontsize=10,
        )
    heights = 1000 * (energies - lowest) / num_atoms
    axes.plot(volumes / num_atoms, heights, "o", color="black", ms=4, label="computed")
    axes.set_xlabel("volume (Å³/atom)")
    axes.set_ylabel("energy above the minimum (meV/atom)")
    axes.legend(frameon=False, loc="upper center")
    dress(axes)
    return figure


def plot_elastic(strains: np.ndarray, stresses: np.ndarray, constants: np.ndarray) -> Figure:
    """Stress against each component of strain, with what the constants say.

    Parameters
    ----------
    strains, stresses : array (6, points, 6)
        By the strained component; stresses in GPa.
    constants : array (6, 6)
        GPa.
    """
    from matplotlib import colormaps

    figure = new_figure(9.0, 5.6)
    panels = figure.subplots(2, 3, sharex=True).ravel()
    palette = colormaps["tab10"].colors  # type: ignore[attr-defined]
    for component, axes in enumerate(panels):
        strain = strains[component, :, component]
        for row, name in enumerate(_COMPONENTS):
            colour = palette[row]
            axes.plot(100 * strain, stresses[component, :, row], "o", color=colour, ms=3.5)
            line = constants[row, component] * strain
            axes.plot(100 * strain, line, color=colour, lw=1.0, label=name)
        axes.set_title(f"strain {_COMPONENTS[component]}", fontsize=10)
        dress(axes)
    for axes in panels[3:]:
        axes.set_xlabel("strain (%)")
    for axes in panels[::3]:
        axes.set_ylabel("stress (GPa)")
    panels[0].legend(frameon=False, fontsize=8, ncols=2)
    return figure
