"""Figures of quasi-harmonic calculations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase import units

from ase_geomformer.recipes.lattice.phonons.figure import label_path
from ase_geomformer.runs.style import BLUE, GREEN, GREY, ORANGE, PAGE, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ase_geomformer.recipes.lattice.quasiharmonic.result import QHAResult

# Curves of the free energy that fit a panel.
_CURVES = 6
# Smallest distance between their names, as a share of the range of energies.
_APART = 0.08


@drawing
def draw_qha(result: QHAResult) -> Figure:
    """Free energy by volume, thermal expansion, heat capacity and bulk modulus."""
    figure = new_figure(PAGE, 5.4)
    (free, expansion), (heat, stiffness) = figure.subplots(2, 2)
    atoms = len(result.modes.parameters[0]) / 3
    rows = np.linspace(0, len(result.temperatures_K) - 1, _CURVES).astype(int)
    free.plot(
        result.equilibrium_volumes_A3, result.gibbs_energy_eV, color=ORANGE, lw=1.2, label="minimum"
    )
    for row in rows:
        free.plot(result.volumes_A3, result.free_energies_eV[row], ".", color=BLUE, ms=4)
        free.plot(*_fitted(result, row), color=BLUE, lw=0.8)
    for energy, name in _names(result, rows):
        free.annotate(
            name, (result.volumes_A3[-1], energy), xytext=(3, 0), textcoords="offset points",
            va="center",
        )  # fmt: skip
    free.set_xlabel("volume of primitive cell (Å$^3$)")
    free.set_ylabel("free energy (eV/primitive cell)")
    free.legend(frameon=False)
    expansion.plot(result.temperatures_K, 1e6 * result.thermal_expansion_per_K, color=ORANGE)
    expansion.set_ylabel("volume expansion\ncoefficient (10$^{-6}$/K)")
    heat.plot(result.temperatures_K, 1e3 * result.heat_capacity_eV_per_K / atoms, color=GREEN)
    heat.axhline(3e3 * units.kB, color=GREY, lw=0.8, ls="--", label="Dulong and Petit")
    heat.set_ylabel("$C_p$ (meV/K/atom)")
    heat.legend(frameon=False)
    stiffness.plot(result.temperatures_K, result.bulk_modulus_GPa, color=BLUE)
    stiffness.set_ylabel("bulk modulus (GPa)")
    for axes in (expansion, heat, stiffness):
        axes.set_xlabel("temperature (K)")
        axes.margins(x=0.0)
    for axes in figure.axes:
        dress(axes)
    return figure


def _names(result: QHAResult, rows: np.ndarray) -> list[tuple[float, str]]:
    """Names of curves, and the energies to put them at; those that lie close have one name."""
    ends = result.free_energies_eV[:, -1]
    apart = _APART * np.ptp(result.free_energies_eV[rows])
    groups: list[list[int]] = []
    for row in rows.tolist():
        if groups and ends[groups[-1][0]] - ends[row] <= apart:
            groups[-1].append(row)
        else:
            groups.append([row])
    return [
        (
            float(ends[group].mean()),
            f"{', '.join(f'{result.temperatures_K[row]:g}' for row in group)} K",
        )
        for group in groups
    ]


def _fitted(result: QHAResult, row: int) -> tuple[np.ndarray, np.ndarray]:
    """The equation of state at a temperature, whose minimum is the equilibrium volume."""
    from phonopy.qha.eos import fit_to_eos, get_eos

    equation = get_eos(result.eos)
    parameters = fit_to_eos(result.volumes_A3, result.free_energies_eV[row], equation)
    volumes = np.linspace(result.volumes_A3.min(), result.volumes_A3.max(), 100)
    return volumes, equation(volumes, parameters)


@drawing
def draw_gruneisen(result: QHAResult) -> Figure:
    """Mode Grüneisen parameters along the path and by frequency."""
    figure = new_figure(PAGE, 3.2)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2.2, 1.0))
    modes = result.modes
    for distances, parameters in zip(modes.band_distances, modes.band_parameters, strict=True):
        left.plot(distances, parameters, ".", color=BLUE, ms=2.5)
    label_path(left, result.bands)
    left.set_ylabel("mode Grüneisen parameter")
    right.plot(modes.frequencies_THz.ravel(), modes.parameters.ravel(), ".", color=GREEN, ms=2.5)
    right.set_xlabel("frequency (THz)")
    dress(right)
    return figure
