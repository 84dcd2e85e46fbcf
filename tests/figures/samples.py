"""A call of every figure that the package draws, with numbers such as runs give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace as Sample
from typing import Any

import numpy as np
from ase import units
from ase.build import bulk, fcc111, molecule
from matplotlib.figure import Figure
from phonopy.physical_units import get_physical_units
from phonopy.qha.core import get_eos

from ase_geomformer.accuracy import figures as accuracy
from ase_geomformer.accuracy import map as descriptor_map
from ase_geomformer.accuracy.comparison import Comparison
from ase_geomformer.accuracy.evaluation import Evaluation
from ase_geomformer.data.frames import Frame
from ase_geomformer.engines.ipi import figure as path_integrals
from ase_geomformer.engines.ipi.settings import PathIntegralSettings
from ase_geomformer.infrared import spectrum
from ase_geomformer.learning import figures as learning
from ase_geomformer.md import figure as md
from ase_geomformer.md.analysis import figure as analysis
from ase_geomformer.md.analysis.bonds import Bonds, Distribution
from ase_geomformer.md.analysis.diffusion import MSD
from ase_geomformer.md.analysis.dipole import DipoleSpectrum
from ase_geomformer.md.analysis.rdf import RDF
from ase_geomformer.md.analysis.transport import GreenKubo
from ase_geomformer.md.analysis.vibrations import VACF
from ase_geomformer.md.replicas import figure as replicas
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.recipes.adsorbates import figure as adsorbates
from ase_geomformer.recipes.adsorbates.sites import find_sites
from ase_geomformer.recipes.cohesion import figure as cohesion
from ase_geomformer.recipes.elasticity import figure as elasticity
from ase_geomformer.recipes.equation_of_state import figure as equation_of_state
from ase_geomformer.recipes.equation_of_state.fit import fit
from ase_geomformer.recipes.lattice.bands import Bands
from ase_geomformer.recipes.lattice.conductivity import figure as conductivity
from ase_geomformer.recipes.lattice.phonons import figure as phonons
from ase_geomformer.recipes.lattice.quasiharmonic import figure as quasiharmonic
from ase_geomformer.recipes.modes import figure as modes
from ase_geomformer.recipes.path import figure as path
from ase_geomformer.recipes.reaction_coordinate import figure as reaction_coordinate
from ase_geomformer.recipes.relaxation import figure as relaxation
from ase_geomformer.recipes.relaxation.settings import RelaxSettings
from ase_geomformer.recipes.surfaces import figure as surfaces
from ase_geomformer.recipes.transition_state import figure as transition_state
from ase_geomformer.recipes.vacancies import figure as vacancies

RNG = np.random.default_rng(0)
KELVIN = np.arange(0.0, 1001.0, 50.0)


def samples(folder: Path) -> dict[str, Callable[[], Figure]]:
    """By a name that begins with that in FIGURES; some figures have several samples."""
    found: dict[str, Callable[[], Figure]] = {
        "accuracy.map.descriptor_map": lambda: descriptor_map.descriptor_map(
            RNG.normal(size=(60, 8)), ["C2H6O", "H2O", "Si"] * 20
        ),
        "md.figure.plot": lambda: md.plot(_md_log(), MDSettings()),
        "md.figure.plot: pressure": lambda: md.plot(
            {**_md_log(), "pressure_GPa": RNG.normal(size=500)}, MDSettings()
        ),
        "engines.ipi.figure.plot": lambda: path_integrals.plot(
            _bead_log(), molecule("CH3CH2OH"), PathIntegralSettings()
        ),
        "md.replicas.figure.plot": lambda: replicas.plot(_replicas()),
        "md.analysis.rdf.RDF.plot": _rdf().plot,
        "md.analysis.diffusion.MSD.plot": _msd().plot,
        "md.analysis.vibrations.VACF.plot": _vacf().plot,
        "md.analysis.dipole.DipoleSpectrum.plot": _dipole().plot,
        "md.analysis.figure.radial": lambda: analysis.radial(
            dict.fromkeys(("H-H", "H-O", "O-O", "Na-O"), _rdf())
        ),
        "md.analysis.figure.bonded": lambda: analysis.bonded(_bonds()),
        "md.analysis.figure.displacement": lambda: analysis.displacement(
            dict.fromkeys(("all", "H", "O"), _msd())
        ),
        "md.analysis.figure.spectra": lambda: analysis.spectra(
            dict.fromkeys(("all", "H", "O"), _vacf())
        ),
        "md.analysis.figure.integral": lambda: analysis.integral("viscosity", _green_kubo()),
        "infrared.spectrum.plot": lambda: spectrum.plot(*_infrared(), "paracetamol, harmonic"),
        "recipes.elasticity.figure.plot": lambda: elasticity.plot(*_elastic()),
        "recipes.equation_of_state.figure.plot": lambda: equation_of_state.plot(_eos()),
        "recipes.modes.figure.plot": lambda: modes.plot(
            Sample(frequencies_per_cm=_infrared()[0]), "C8H9NO2, 54 modes"
        ),
        "recipes.modes.figure.plot: imaginary": lambda: modes.plot(
            Sample(frequencies_per_cm=np.array([-412.3, 120.0, 1500.0, 3000.0])),
            "saddle point of C2H6O",
        ),
        "recipes.relaxation.figure.plot": lambda: relaxation.plot(_history(), RelaxSettings()),
        "recipes.relaxation.figure.plot: cell": lambda: relaxation.plot(
            {**_history(), "smax_GPa": np.geomspace(12.0, 1e-3, 40)}, RelaxSettings()
        ),
        "recipes.relaxation.figure.plot_many": lambda: relaxation.plot_many(_relaxed()),
        "recipes.path.figure.plot": lambda: path.plot(_neb()),
        "recipes.transition_state.figure.plot": lambda: transition_state.plot(_search(), 1e-3),
        "recipes.reaction_coordinate.figure.plot": lambda: reaction_coordinate.plot(_irc()),
        "recipes.surfaces.figure.plot": lambda: surfaces.plot(_surface()),
        "recipes.vacancies.figure.plot": lambda: vacancies.plot(_vacancies()),
        "recipes.cohesion.figure.plot": lambda: cohesion.plot(_cohesion(5)),
        "recipes.cohesion.figure.plot: many": lambda: cohesion.plot(_cohesion(300)),
        "recipes.adsorbates.figure.plot": lambda: adsorbates.plot(_adsorption()),
        "recipes.lattice.phonons.figure.draw_bands": lambda: phonons.draw_bands(_phonons()),
        "recipes.lattice.phonons.figure.draw_overlay": lambda: phonons.draw_overlay(
            {"harmonic": _phonons(), "effective, 300 K": _phonons(1.05)}
        ),
        "recipes.lattice.phonons.figure.draw_thermal": lambda: phonons.draw_thermal(_phonons()),
        "recipes.lattice.conductivity.figure.draw_conductivity": (
            lambda: conductivity.draw_conductivity(_conductivity())
        ),
        "recipes.lattice.quasiharmonic.figure.draw_qha": lambda: quasiharmonic.draw_qha(_qha()),
        "recipes.lattice.quasiharmonic.figure.draw_gruneisen": (
            lambda: quasiharmonic.draw_gruneisen(_qha())
        ),
        "learning.figures.progress": lambda: learning.progress(_rounds(), 50.0),
        "learning.figures.calibration": lambda: learning.calibration(*_judged(), 1.3),
        "learning.figures.coverage": lambda: learning.coverage(_labelled()),
        "accuracy.figures.learning_curve": lambda: accuracy.learning_curve(_metrics(folder)),
    }
    for targets in ("energy", "energy forces", "energy forces stress"):
        found[f"accuracy.figures.parity: {targets}"] = lambda targets=targets: accuracy.parity(
            _evaluation(targets)
        )
    found["accuracy.figures.errors_by_element"] = lambda: accuracy.errors_by_element(
        _evaluation("forces")
    )
    return found


def _md_log() -> dict[str, Any]:
    step = np.arange(500)
    noise = RNG.normal(size=(3, 500))
    return {
        "step": step, "time_fs": 0.5 * 20 * step, "temperature_K": 300.0 + 60.0 * noise[0],
        "potential_energy_eV": -4209.0 + 0.1 * noise[1],
        "total_energy_eV": -4208.0 + 0.1 * noise[2], "conserved_energy_eV": -4207.0 + 0.0 * step,
    }  # fmt: skip


def _bead_log() -> dict[str, Any]:
    kinetic = {f"kinetic_energy_{symbol}_eV": 0.05 + 0.01 * RNG.random(500) for symbol in "CHO"}
    return {**_md_log(), **kinetic}


def _replicas() -> Any:
    ladder = np.geomspace(300.0, 900.0, 8)
    logs = [
        {
            "time_fs": 10.0 * np.arange(300), "temperature_K": kelvin + RNG.normal(size=300),
            "target_temperature_K": RNG.choice(ladder, 300),
            "potential_energy_eV": -4209.0 + 0.001 * kelvin + 0.1 * RNG.normal(size=300),
        }
        for kelvin in ladder
    ]  # fmt: skip
    return Sample(
        replicas=[Sample(log=log) for log in logs], temperatures_K=ladder, acceptance={"0-1": 0.3},
        at_temperature=lambda kelvin: logs[int(np.argmin(np.abs(ladder - kelvin)))],
    )  # fmt: skip


def _rdf() -> RDF:
    r = np.linspace(0.0, 6.0, 200)
    g = 1.0 - np.exp(-r) * np.cos(5.0 * r)
    return RDF(("O", "H"), r, 0.03 * g, g, np.cumsum(g))


def _msd() -> Any:
    time = np.linspace(0.0, 20.0, 100)
    return MSD(time, 6.0 * 0.23 * time, 0.2312, 0.0123)


def _vacf() -> Any:
    wavenumber = np.linspace(0.0, 4000.0, 400)
    density = np.exp(-(((wavenumber - 1500.0) / 300.0) ** 2))
    return VACF(np.arange(400.0), np.cos(np.arange(400.0)), wavenumber, density)


def _bonds() -> Bonds:
    r, angle = np.linspace(0.9, 1.05, 100), np.linspace(0.0, 180.0, 100)
    return Bonds(
        {"H-O": Distribution(r, 20.0 * np.exp(-(((r - 0.97) / 0.03) ** 2)), 0.97, 0.02, 128.0)},
        {
            "H-O-H": Distribution(
                angle, 0.08 * np.exp(-(((angle - 105.0) / 5.0) ** 2)), 105.0, 4.0, 64.0
            )
        },
    )


def _green_kubo() -> GreenKubo:
    time = np.linspace(0.0, 5.0, 200)
    running = 0.89 * (1.0 - np.exp(-time / 0.4))
    return GreenKubo(0.893, 0.041, "mPa s", time, running, 0.02 * time)


def _dipole() -> Any:
    wavenumber = np.linspace(0.0, 4500.0, 900)
    return DipoleSpectrum(wavenumber, 3000.0 * np.exp(-(((wavenumber - 1700.0) / 50.0) ** 2)))


def _infrared() -> tuple[np.ndarray, np.ndarray]:
    return np.linspace(40.0, 3700.0, 54), 300.0 * RNG.random(54)


def _elastic() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    constants = np.diag([150.0, 150.0, 150.0, 75.0, 75.0, 75.0]) + 40.0
    strains = np.zeros((6, 5, 6))
    strains[np.arange(6), :, np.arange(6)] = np.linspace(-0.01, 0.01, 5)
    return strains, strains @ constants, constants


def _eos() -> Any:
    atoms = bulk("Si")
    volumes = atoms.get_volume() * np.linspace(0.94, 1.06, 9)
    strain = volumes / atoms.get_volume() - 1.0
    energies = -10.8 + 0.5 * 98.0 * units.GPa * atoms.get_volume() * strain**2 * (1 - strain)
    fitted = fit(volumes, energies + 1e-5 * RNG.normal(size=9), "birchmurnaghan")
    return Sample(volumes=volumes, energies=energies, fit=fitted, atoms=atoms)


def _history() -> dict[str, np.ndarray]:
    return {
        "energy_eV": -4200.0 + np.geomspace(2.0, 1e-6, 40),
        "fmax_eV_per_A": np.geomspace(8.0, 1e-4, 40),
    }


def _relaxed() -> list[Any]:
    return [
        Sample(
            converged=bool(i % 9), steps=int(20 + 5 * RNG.normal()), energy=-4210.0 - RNG.random(),
            history={"energy_eV": np.array([-4209.0])}, atoms=range(9),
        )
        for i in range(60)
    ]  # fmt: skip


def _neb() -> Any:
    x = np.linspace(0.0, 3.2, 9)
    fine = np.linspace(0.0, 3.2, 200)
    return Sample(
        fit=Sample(path=x, energies=np.sin(x), fit_path=fine, fit_energies=np.sin(fine)),
        highest=4, barrier_forward_eV=0.99957, barrier_reverse_eV=1.0579,
        saddle=Sample(
            converged=True, is_transition_state=True,
            modes=Sample(frequencies_per_cm=np.array([-412.0])),
        ),
        history=np.geomspace(4.0, 0.01, 80),
    )  # fmt: skip


def _search() -> Any:
    return Sample(
        energies=-4209.0 + np.sin(np.linspace(0.0, 1.6, 20)), fmax=np.geomspace(4.0, 1e-4, 20),
        energy_above_start_eV=0.99957, imaginary_per_cm=np.array([-412.3]),
    )  # fmt: skip


def _irc() -> Any:
    x = np.linspace(-1.5, 1.0, 26)
    return Sample(
        coordinate=x, energies=np.cos(x) - 1.0, fmax=np.abs(np.sin(x)), imaginary_per_cm=-1803.1,
        end_energies=np.array([-0.93, -0.46]), barrier_forward_eV=0.93, barrier_reverse_eV=0.46,
        reaction_energy_eV=0.47,
    )  # fmt: skip


def _surface() -> Any:
    thickness = np.array([12.0, 15.1, 18.3, 21.4])
    return Sample(
        bulk=bulk("Si"), miller=[1, 1, 1],
        terminations=[
            Sample(
                cut=Sample(name="Si|Si", gap_A=2.35), energy_J_per_m2=energy, thickness_A=thickness,
                by_thickness_J_per_m2=energy + 0.01 * RNG.normal(size=4),
            )
            for energy in (1.444, 2.191)
        ],
    )  # fmt: skip


def _vacancies() -> Any:
    return Sample(
        bulk=bulk("MgO", "rocksalt", a=4.21), sites=np.array([64, 216]),
        schottky_energies_eV=np.array([5.412, 5.387]),
        vacancies=[
            Sample(element=element, site="4a", formation_energies_eV=np.array([energy, energy]))
            for element, energy in (("Mg", 6.123), ("O", 7.214))
        ],
    )  # fmt: skip


def _cohesion(count: int) -> Any:
    return Sample(
        cohesions=[
            Sample(name=f"structures.extxyz:{i}", cohesive_energy_eV=3.0 + RNG.random())
            for i in range(count)
        ]
    )


def _adsorption() -> Any:
    slab = fcc111("Cu", (1, 1, 4), vacuum=8.0)
    energies = (-4.616, -4.588, -4.615, -4.453)
    return Sample(
        slab=slab * (3, 3, 1),
        adsorbed=[
            Sample(site=site, adsorption_energy_eV=energy)
            for site, energy in zip(find_sites(slab, 1.0, 0.01), energies, strict=True)
        ],
    )


def _bands(scale: float = 1.0) -> Bands:
    """The path of a face-centred cubic crystal, with its jump from U to K."""
    ends = [("GAMMA", "X"), ("X", "U"), ("K", "GAMMA"), ("GAMMA", "L"), ("L", "W"), ("W", "X_1")]
    ends = [tuple(end.replace("GAMMA", "Γ") for end in pair) for pair in ends]
    lengths, start = [0.18, 0.06, 0.19, 0.16, 0.13, 0.09], 0.0
    distances, frequencies = [], []
    for length in lengths:
        distances.append(np.linspace(start, start + length, 30))
        start += length
        waves = np.abs(np.sin(20.0 * distances[-1][:, None] + np.arange(6)))
        frequencies.append(scale * (15.0 * waves - 0.5))
    q_points = [np.zeros((30, 3))] * 6
    return Bands(ends, q_points, distances, frequencies, [np.zeros((30, 6, 3))] * 6)


def _phonons(scale: float = 1.0) -> Any:
    grid = np.linspace(0.0, 16.0, 300)
    shape = np.exp(-((grid - 8.0) ** 2) / 10.0)
    heat = 6.0 * units.kB * (1.0 - np.exp(-KELVIN / 300.0))
    primitive = bulk("MgO", "rocksalt", a=4.21)
    motion = 0.01 * np.outer(1.0 + KELVIN / 300.0, np.array([1.0, 0.8]))
    return Sample(
        bands=_bands(scale),
        dos=Sample(
            frequencies_THz=grid, total_per_THz=shape,
            by_element_per_THz={"Mg": 0.6 * shape, "O": 0.4 * shape},
        ),
        phonon=Sample(primitive=_Primitive(primitive.get_chemical_symbols())),
        thermal=Sample(
            temperatures_K=KELVIN, free_energy_eV=0.2 - 1e-7 * KELVIN**2,
            entropy_eV_per_K=1e-6 * KELVIN, heat_capacity_eV_per_K=heat,
            mean_square_displacement_A2=motion,
        ),
    )  # fmt: skip


class _Primitive:
    def __init__(self, symbols: list[str]) -> None:
        self.symbols = symbols

    def __len__(self) -> int:
        return len(self.symbols)


def _conductivity() -> Any:
    kelvin = np.arange(100.0, 1001.0, 100.0)
    frequencies = 15.0 * RNG.random((29, 6))
    weights = RNG.random((len(kelvin), 29, 6, 6))
    return Sample(
        temperatures_K=kelvin,
        conductivity_W_per_mK=np.outer(38_000.0 / kelvin, [1.0, 0.93, 0.87, 0.0, 0.0, 0.0]),
        transport=Sample(
            frequencies_THz=frequencies, mode_conductivity_W_per_mK=weights,
            lifetimes_ps=np.exp(3.0 * RNG.normal(size=(len(kelvin), 29, 6))),
        ),
    )  # fmt: skip


def _qha() -> Any:
    volumes = np.linspace(37.0, 44.0, 9)
    curve = get_eos("vinet")
    stiffness = 98.0 / get_physical_units().EVAngstromToGPa
    kelvin = np.arange(0.0, 1001.0, 20.0)
    minima = 40.0 + 1e-4 * kelvin
    lowest = -10.8 - 4e-7 * kelvin**2
    free = [
        curve(volumes, np.array([energy, stiffness, 4.2, at]))
        for energy, at in zip(lowest, minima, strict=True)
    ]
    bands = _bands()
    return Sample(
        eos="vinet", temperatures_K=kelvin, volumes_A3=volumes, free_energies_eV=np.array(free),
        equilibrium_volumes_A3=minima, gibbs_energy_eV=lowest,
        bulk_modulus_GPa=98.0 - 0.01 * kelvin,
        thermal_expansion_per_K=8e-6 * np.tanh(kelvin / 300.0),
        heat_capacity_eV_per_K=6.0 * units.kB * np.tanh(kelvin / 300.0), bands=bands,
        modes=Sample(
            parameters=RNG.normal(size=(50, 6)), frequencies_THz=15.0 * RNG.random((50, 6)),
            band_distances=bands.distances, band_parameters=[RNG.normal(size=(30, 6))] * 6,
        ),
    )  # fmt: skip


def _rounds() -> list[Any]:
    return [
        Sample(
            calls=20 * (i + 1), elapsed_s=60.0 * (i + 1), train_mae_meV_per_A=80.0 / (i + 1),
            validation_mae_meV_per_A=None if i == 0 else 150.0 / i,
            errors={"use_meV_per_A": 200.0 / (i + 1), "hot_meV_per_A": 400.0 / (i + 1)},
        )
        for i in range(7)
    ]  # fmt: skip


def _labelled() -> list[Frame]:
    frames = []
    for i in range(40):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.05 + 0.01 * i, seed=i)
        atoms.info["origin"] = ("strains", "modes", "random", "selected")[i % 4]
        frames.append(Frame(atoms, -4200.0, RNG.normal(size=(9, 3))))
    return frames


def _judged() -> tuple[list[Frame], list[Any]]:
    frames = _labelled()
    predicted = [
        Sample(forces=frame.forces + 0.05 * RNG.normal(size=(9, 3)), spread=0.05 + RNG.random(9))
        for frame in frames
    ]
    return frames, predicted


def _metrics(folder: Path) -> Path:
    file = folder / "metrics.csv"
    names = ("mae_forces_meV_per_A", "mae_energy_meV_per_atom", "mae_stress_GPa")
    rows = ["step," + ",".join(f"{part}_{name}" for part in ("train", "val") for name in names)]
    for step in range(50, 20_001, 50):
        height = 5000.0 / step**0.7
        errors = [height, height / 20, height / 99]
        rows.append(",".join(f"{value:.6g}" for value in (step, *errors, *errors)))
    file.write_text("\n".join(rows) + "\n")
    return file


def _evaluation(targets: str) -> Evaluation:
    structures = [molecule("CH3CH2OH"), molecule("CH3CHO"), molecule("C2H6SO")] * 30
    frames = tuple(Frame(atoms) for atoms in structures)
    sizes = np.array([len(atoms) for atoms in structures])
    count, atoms = len(sizes), int(sizes.sum())
    energies = -4200.0 + RNG.normal(size=count)
    forces, stress = 12.0 * RNG.normal(size=(atoms, 3)), RNG.normal(size=(count, 3, 3))
    every = {
        "energy": Comparison(energies, energies + 0.01 * RNG.normal(size=count), np.arange(count)),
        "forces": Comparison(forces, forces + RNG.normal(size=forces.shape), np.arange(atoms)),
        "stress": Comparison(stress, stress + 0.01, np.arange(count)),
    }
    return Evaluation(frames, {target: every[target] for target in targets.split()})
