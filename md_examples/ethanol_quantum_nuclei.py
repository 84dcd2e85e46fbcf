"""Quantum nuclei: the kinetic energy of ethanol's atoms by path integrals (extra ipi).

Beside it stands the harmonic approximation to the same potential, from its normal modes.

python md_examples/ethanol_quantum_nuclei.py --steps 10000
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from ase import units
from ase.build import molecule

from ase_geomformer import PotentialCalculator
from ase_geomformer.engines.ipi import PathIntegralSettings, path_integrals
from ase_geomformer.recipes import VibrationsSettings, vibrations
from ase_geomformer.recipes.modes.result import VibrationsResult

# eV that a mean over beads may be below the minimum, by rounding alone.
ROUNDING = 0.01


def harmonic(result: VibrationsResult, temperature_K: float) -> dict[str, float]:
    """Kinetic energy of an atom of each element in eV.

    A mode of energy E has E/4 coth(E/2kT), which its atoms share as their parts of the mode; kT/2
    is left for each direction of translation and rotation.
    """
    atoms, modes = result.atoms, result.modes
    thermal = units.kB * temperature_K
    energies = modes.energies_eV
    kinetic = 0.25 * energies / np.tanh(0.5 * energies / thermal)
    squares = (modes.vectors**2).sum(axis=2)
    shares = atoms.get_masses() * squares / modes.reduced_masses_amu[:, None]
    each = kinetic @ shares + 0.5 * thermal * (3.0 - shares.sum(axis=0))
    return {symbol: each[atoms.symbols == symbol].mean() for symbol in dict.fromkeys(atoms.symbols)}


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_name("ethanol_quantum_nuclei_output")
    )
    parser.add_argument("--potential", default="so3krates-rmd17-ethanol")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--beads", type=int, default=32)
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--compile", default="auto", choices=["auto", "false"])
    options = parser.parse_args()
    compiled = False if options.compile == "false" else "auto"
    calculator = PotentialCalculator(options.potential, dtype="float64", compile=compiled)
    modes = vibrations(
        molecule("CH3CH2OH"), calculator, VibrationsSettings(relax=True, fmax=1e-3), progress=False
    )
    settings = PathIntegralSettings(
        beads=options.beads,
        temperature_K=options.temperature,
        timestep_fs=0.25,
        steps=options.steps,
        equilibration_steps=options.steps // 10,
        log_interval=5,
    )
    result = path_integrals(
        modes.atoms,
        calculator,
        settings,
        output=options.output,
        resume=True,
        compile_if_long=True,
    )
    if result.log["potential_energy_eV"].min() < modes.energy_eV - ROUNDING:
        raise SystemExit(
            "beads have fallen below the minimum: they reach where the potential was not trained, "
            "and these numbers mean nothing; use one that was trained on compressed bonds"
        )
    expected = harmonic(modes, options.temperature)
    print("kinetic energy of an atom, meV: path integrals, harmonic, classical")
    for symbol, count in result.atoms.symbols.formula.count().items():
        found = result.averages[f"kinetic_energy_{symbol}_eV"]
        print(
            f"{symbol}  {1e3 * found.mean / count:6.1f} ± {1e3 * found.error / count:.1f}"
            f"  {1e3 * expected[symbol]:6.1f}  {1500 * units.kB * options.temperature:6.1f}"
        )


if __name__ == "__main__":
    main()
