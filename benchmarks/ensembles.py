"""Distributions of kinetic energy and volume against theory, for every thermostat and barostat.

An ideal gas and a crystal of springs have volumes and kinetic energies of which the distributions
are known. From the root of a checkout:

    python benchmarks/ensembles.py --steps 20000 --output docs
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from matplotlib.figure import Figure
from scipy import stats

from ase_geomformer.machine.files import write_text
from ase_geomformer.md import ENSEMBLES, GuardSettings, MDSettings, run_md
from ase_geomformer.md.analysis import block_average
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runs.style import BLUE, ORANGE, PAGE, new_figure, save_figure, styled

TEMPERATURE_K = 300.0
KT = units.kB * TEMPERATURE_K
UNGUARDED = GuardSettings(
    min_distance_A=None, max_gap_A=None, max_drift_meV_per_atom_per_ps=None,
    min_pressure_GPa=None, max_pressure_GPa=None,
)  # fmt: skip


class Crystal(Calculator):
    """Springs to sites that move with the cell, and a cell with moduli of its own.

    With d_i the displacement of atom i from its site less the mean displacement,
    U = sum_ic (k/2 d_ic^2 + q/4 d_ic^4) + B (V - V0)^2 / (2 V0) + G V0 (tr b - 3) / 2, where b is
    the part of the deformation that keeps the volume. The integral over the displacements does
    not depend on the cell, nor that over b on the volume, so that the volume's distribution is
    known. With all constants zero it is an ideal gas.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, atoms: Atoms, k: float, q: float, bulk: float, shear: float) -> None:
        super().__init__()
        self.sites = atoms.get_scaled_positions(wrap=False)
        self.cell0, self.volume0 = atoms.cell.array.copy(), atoms.get_volume()
        self.k, self.q, self.bulk, self.shear = k, q, bulk, shear

    def calculate(
        self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        cell, volume0 = self.atoms.cell.array, self.volume0
        volume = abs(np.linalg.det(cell))
        d = self.atoms.positions - self.sites @ cell
        d -= d.mean(axis=0)
        deformation = np.linalg.solve(self.cell0, cell)
        b = (volume / volume0) ** (-2 / 3) * deformation.T @ deformation
        slope = self.k * d + self.q * d**3
        energy = (
            np.sum(0.5 * self.k * d**2 + 0.25 * self.q * d**4)
            + 0.5 * self.bulk * (volume - volume0) ** 2 / volume0
            + 0.5 * self.shear * volume0 * (np.trace(b) - 3.0)
        )
        hydrostatic = self.bulk * (volume - volume0) / volume0 * volume * np.eye(3)
        deviatoric = self.shear * volume0 * (b - np.trace(b) / 3.0 * np.eye(3))
        stress = (d.T @ slope + hydrostatic + deviatoric) / volume
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": slope.mean(axis=0) - slope,
            "stress": full_3x3_to_voigt_6_stress(stress),
        }


@dataclass(frozen=True)
class Distribution:
    """What theory says of a quantity.

    Attributes
    ----------
    density : callable
        Normalised, of an array of values.
    mean, variance : float
    """

    density: Callable[[np.ndarray], np.ndarray]
    mean: float
    variance: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Measured values of a quantity, and theory."""

    name: str
    values: np.ndarray
    theory: Distribution

    def row(self) -> dict[str, Any]:
        """Mean and variance relative to theory, with their errors from block averages."""
        mean = block_average(self.values)
        variance = block_average((self.values - self.theory.mean) ** 2)
        return {
            "name": self.name,
            "mean_over_theory": mean.mean / self.theory.mean,
            "mean_error": mean.error / self.theory.mean,
            "variance_over_theory": variance.mean / self.theory.variance,
            "variance_error": variance.error / self.theory.variance,
        }


def gas() -> tuple[Atoms, Calculator, float]:
    """Eight atoms that do not see each other, their calculator and a pressure in GPa."""
    pressure = 0.01
    volume = 8 * KT / (pressure * units.GPa)
    atoms = Atoms("Ar8", scaled_positions=_corners(), cell=3 * [volume ** (1 / 3)], pbc=True)
    return atoms, Crystal(atoms, 0.0, 0.0, 0.0, 0.0), pressure


def crystal() -> tuple[Atoms, Calculator, float]:
    """Eight atoms on springs, their calculator and a pressure in GPa."""
    atoms = Atoms("Ar8", scaled_positions=_corners(), cell=3 * [7.0], pbc=True)
    # So soft that its volume oscillates slowly against the time step.
    return atoms, Crystal(atoms, 1.0, 20.0, 0.01, 0.01), 0.05


def _corners() -> np.ndarray:
    return np.array(list(np.ndindex(2, 2, 2))) / 2.0 + 0.1


SYSTEMS: dict[str, Callable[[], tuple[Atoms, Calculator, float]]] = {
    "ideal gas": gas,
    "harmonic crystal": crystal,
}
# Shape of the barostat and the axes that it keeps.
BAROSTATS = {"isotropic": "", "full": "", "axes": "", "axes, a and b fixed": "ab"}
THERMOSTATS = [name for name in ENSEMBLES if name.startswith("nvt")]

# Atoms that never meet keep the shares of motion along and across a single free axis.
CASES = [
    (system, barostat)
    for system in SYSTEMS
    for barostat, fixed in BAROSTATS.items()
    if not (system == "ideal gas" and fixed)
]


def volume_distribution(system: str, barostat: str = "isotropic") -> Distribution:
    """Distribution of the volume, for atoms whose centre of mass is at rest.

    The configurations of N atoms about a centre at rest count as V^(N-1) in a gas and not at all
    in the crystal. ASE's equations of motion take three degrees of freedom for each atom in the
    coupling of cell and momenta, where the centre at rest has none, which adds V^(-1/N). Where
    only one axis can move, the crystal's shape follows from its volume, and counts.
    """
    atoms, calculator, pressure_GPa = SYSTEMS[system]()
    number, pressure = len(atoms), pressure_GPa * units.GPa
    if system == "ideal gas":
        found = stats.gamma(number - 1.0 / number, scale=KT / pressure)
        return Distribution(found.pdf, found.mean(), found.var())
    volume0, bulk = calculator.volume0, calculator.bulk
    grid = volume0 * np.linspace(0.3, 1.7, 20001)
    ratio = grid / volume0
    energy = 0.5 * bulk * (grid - volume0) ** 2 / volume0 + pressure * (grid - volume0)
    if len(BAROSTATS[barostat]) == 2:
        energy += 0.5 * calculator.shear * volume0 * (ratio ** (-2 / 3) * (2.0 + ratio**2) - 3.0)
    weight = np.exp(-energy / KT - np.log(ratio) / number)
    weight /= np.trapezoid(weight, grid)
    mean = float(np.trapezoid(weight * grid, grid))
    variance = float(np.trapezoid(weight * (grid - mean) ** 2, grid))
    return Distribution(lambda values: np.interp(values, grid, weight), mean, variance)


def sample_volume(system: str, barostat: str, steps: int, seed: int = 1) -> Comparison:
    """Run npt-mtk and compare the volume's distribution."""
    atoms, calculator, pressure = SYSTEMS[system]()
    settings = MDSettings(
        ensemble="npt-mtk", barostat=barostat.split(",")[0], fixed_axes=BAROSTATS[barostat],
        temperature_K=TEMPERATURE_K, pressure_GPa=pressure, timestep_fs=5.0, steps=steps,
        thermostat_time_fs=50.0, barostat_time_fs=150.0, log_interval=5, seed=seed,
        equilibration_steps=_equilibration(steps), guards=UNGUARDED,
    )  # fmt: skip
    values = _column(atoms, calculator, settings, "volume_A3")
    return Comparison(
        f"{system}, npt-mtk {barostat}", values, volume_distribution(system, barostat)
    )


def sample_kinetic_energy(ensemble: str, steps: int, seed: int = 1) -> Comparison:
    """Run a thermostat and compare the kinetic energy's distribution."""
    atoms, calculator, _ = crystal()
    settings = MDSettings(
        ensemble=ensemble, temperature_K=TEMPERATURE_K, timestep_fs=5.0, steps=steps,
        friction_per_fs=0.02, thermostat_time_fs=50.0, log_interval=5, seed=seed,
        equilibration_steps=_equilibration(steps), guards=UNGUARDED,
    )  # fmt: skip
    values = _column(atoms, calculator, settings, "kinetic_energy_eV")
    motions = 3 * len(atoms) - (3 if ENSEMBLES[ensemble].conserves_momentum else 0)
    found = stats.gamma(motions / 2.0, scale=KT)
    theory = Distribution(found.pdf, found.mean(), found.var())
    return Comparison(f"kinetic energy, {ensemble}", values, theory)


def _equilibration(steps: int) -> int:
    return steps // 50 * 5


def _column(atoms: Atoms, calculator: Calculator, settings: MDSettings, name: str) -> np.ndarray:
    result = run_md(atoms, calculator, settings, progress=False)
    if not result.completed:
        raise RuntimeError(result.reason)
    return result.log[name][result.log["step"] >= settings.equilibration_steps]


@styled
def figure(comparisons: list[Comparison]) -> Figure:
    """Histograms with the densities of theory."""
    columns = 3
    rows = -(-len(comparisons) // columns)
    drawn = new_figure(PAGE, 1.7 * rows)
    panels = drawn.subplots(rows, columns).ravel()
    for axes, comparison in zip(panels, comparisons, strict=False):
        values = comparison.values
        label = "kinetic energy (eV)" if "kinetic" in comparison.name else "volume (Å³)"
        grid = np.linspace(values.min(), values.max(), 300)
        bars = axes.hist(values, bins=40, density=True, color=BLUE, alpha=0.3)
        (line,) = axes.plot(grid, comparison.theory.density(grid), color=ORANGE)
        axes.set_title(comparison.name.removeprefix("kinetic energy, ").replace(", a", ",\na"))
        axes.set_xlabel(label)
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
    for axes in panels[len(comparisons) :]:
        axes.set_axis_off()
    panels[-1].legend(
        [bars[2], line], ["sampled", "theory"], frameon=False, loc="center", title="probability"
    )
    return drawn


def table(rows: list[dict[str, Any]]) -> str:
    """The comparison as Markdown."""
    lines = ["| what | mean / theory | variance / theory |", "|---|---|---|"]
    lines += [
        f"| {row['name']} | {row['mean_over_theory']:.3f} ± {row['mean_error']:.3f} | "
        f"{row['variance_over_theory']:.2f} ± {row['variance_error']:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Sample everything, print the table, and write figure and numbers."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20000, help="of 5 fs, of each run")
    parser.add_argument("--output", type=Path, help="folder of images/ and benchmarks/")
    options = parser.parse_args()
    comparisons = [sample_kinetic_energy(ensemble, options.steps) for ensemble in THERMOSTATS]
    comparisons += [sample_volume(*case, options.steps) for case in CASES]
    rows = [comparison.row() for comparison in comparisons]
    print(table(rows))
    if options.output is not None:
        content = {"steps": options.steps, "timestep_fs": 5.0, "rows": rows}
        write_text(options.output / "benchmarks" / "ensembles.json", to_json(content))
        save_figure(figure(comparisons), options.output / "images" / "ensembles.png")


if __name__ == "__main__":
    main()
