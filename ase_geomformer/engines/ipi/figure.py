"""The figure of a path-integral run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms, units

from ase_geomformer.engines.ipi.settings import PathIntegralSettings
from ase_geomformer.runs.style import BLUE, GREEN, ORANGE, PAGE, curve, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing
def plot(log: dict[str, np.ndarray], atoms: Atoms, settings: PathIntegralSettings) -> Figure:
    """Energies, kinetic energy of the atoms of each element, and temperature against time.

    Parameters
    ----------
    log : dict of str to array
        Columns of the log, one row at least.
    atoms : ase.Atoms
    settings : PathIntegralSettings
    """
    figure = new_figure(PAGE, 7.5)
    energies, kinetic, temperature = figure.subplots(3, 1, sharex=True)
    time_ps = log["time_fs"] / 1000.0
    style = curve(len(time_ps))
    for name, label, colour in (
        ("potential_energy_eV", "potential, mean of the beads", BLUE),
        ("conserved_energy_eV", "conserved", GREEN),
    ):
        energies.plot(time_ps, log[name] - log[name][0], color=colour, label=label, **style)
    energies.set_ylabel("energy change (eV)")
    averaged = log["step"] >= settings.equilibration_steps
    for symbol, count in atoms.symbols.formula.count().items():
        values = 1000.0 * log[f"kinetic_energy_{symbol}_eV"] / count
        label = symbol
        if averaged.any():
            label += f", mean {values[averaged].mean():.1f}"
        kinetic.plot(time_ps, values, label=label, **style)
    classical = 1500.0 * units.kB * settings.temperature_K
    kinetic.axhline(classical, color="black", ls="--", lw=1.0, label=f"classical {classical:.1f}")
    kinetic.set_ylabel("kinetic energy\nper atom (meV)")
    temperature.plot(time_ps, log["temperature_K"], color=ORANGE, label="of the beads", **style)
    temperature.axhline(settings.temperature_K, color="black", ls="--", lw=1.0, label="target")
    temperature.set_ylabel("temperature (K)")
    temperature.set_xlabel("time (ps)")
    for axes in (energies, kinetic, temperature):
        dress(axes)
        axes.margins(x=0.01)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, frameon=False)
    return figure
