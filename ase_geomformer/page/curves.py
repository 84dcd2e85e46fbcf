"""The charts that the files of a run hold, by the name of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ase_geomformer.machine.bounded import check_regular, parse_json, read_arrays, read_json
from ase_geomformer.machine.bounded_structures import read_checked
from ase_geomformer.page.chart import Chart, Curve
from ase_geomformer.runs.folder import RESULT_FILE
from ase_geomformer.runs.table import read_columns

# Files beyond this are not read for a chart; those of a run take up to some ten megabytes.
MOST_BYTES = 2e9
_TIME = "time (ps)"
# Columns of an MD log: title and label of the axis.
_LOG = {
    "temperature_K": ("Temperature", "temperature (K)"),
    "potential_energy_eV": ("Potential energy", "change of potential energy (eV)"),
    "conserved_energy_eV": ("Conserved energy", "change of conserved energy (eV)"),
    "pressure_GPa": ("Pressure", "pressure (GPa)"),
    "volume_A3": ("Volume", "volume (Å³)"),
    "density_g_per_cm3": ("Density", "density (g/cm³)"),
}
# Columns of a training log: title and label of the axis.
_TRAINING = {
    "mae_energy_meV_per_atom": ("Energy error", "MAE of energies (meV/atom)"),
    "mae_forces_meV_per_A": ("Force error", "MAE of forces (meV/Å)"),
    "mae_stress_GPa": ("Stress error", "MAE of stress (GPa)"),
}
_VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")


def charts_of(folder: Path) -> tuple[list[Chart], list[str]]:
    """The charts of a run, and a line for each file that could not be read.

    Parameters
    ----------
    folder : Path
    """
    charts, problems = [], []
    for name, make in CURVES.items():
        path = folder / name
        if not path.exists():
            continue
        try:
            if check_regular(path) > MOST_BYTES:
                raise ValueError("it is too large for a chart")
            charts += make(path)
        except Exception as error:  # damaged files raise whatever their readers do
            problems.append(f"{name} has no chart: {error or type(error).__name__}")
    return charts, problems


def _md_log(path: Path) -> list[Chart]:
    log = read_columns(path)
    time = log["time_fs"] / 1000.0
    charts = []
    for name, (title, label) in _LOG.items():
        if name in log and np.isfinite(log[name]).any():
            change = label.startswith("change")
            values = log[name] - log[name][0] if change else log[name]
            charts.append(Chart(title, _TIME, label, (Curve(title.lower(), time, values),)))
    return charts


def _training_log(path: Path) -> list[Chart]:
    log = read_columns(path)
    charts = []
    for name, (title, label) in _TRAINING.items():
        curves = []
        for part, words in (("train", "training"), ("val", "validation")):
            values = log.get(f"{part}_{name}")
            if values is not None and np.isfinite(values).any():
                there = np.isfinite(values)
                curves.append(Curve(words, log["step"][there], values[there]))
        if curves:
            charts.append(Chart(title, "optimizer step", label, tuple(curves), log_y=True))
    return charts


def _trajectory(path: Path) -> list[Chart]:
    """Energy and largest force of a relaxation; of MD there is a log."""
    if (path.parent / "log.csv").exists():
        return []
    frames = read_checked(path)
    steps = np.arange(len(frames), dtype=float)
    energies = np.array([atoms.get_potential_energy() for atoms in frames])
    forces = np.array([np.linalg.norm(atoms.get_forces(), axis=1).max() for atoms in frames])
    change = Curve("energy", steps, energies - energies[-1])
    return [
        Chart("Relaxation: energy", "step", "energy above the last (eV)", (change,)),
        Chart(
            "Relaxation: forces", "step", "largest force (eV/Å)",
            (Curve("largest force", steps, forces),), log_y=bool((forces > 0.0).all()),
        ),
    ]  # fmt: skip


def _scan(path: Path) -> list[Chart]:
    frames = read_checked(path)
    volumes = np.array([atoms.get_volume() / len(atoms) for atoms in frames])
    energies = np.array([atoms.get_potential_energy() / len(atoms) for atoms in frames])
    order = np.argsort(volumes)
    curve = Curve("energy", volumes[order], energies[order])
    return [
        Chart("Equation of state", "volume per atom (Å³)", "energy per atom (eV)", (curve,)),
    ]


def _strains(path: Path) -> list[Chart]:
    arrays = read_arrays(path, MOST_BYTES)
    strain, stress = arrays["strain"], arrays["stress_GPa"]
    curves = tuple(
        Curve(name, 100.0 * strain[i, :, i], stress[i, :, i]) for i, name in enumerate(_VOIGT)
    )
    return [
        Chart("Stress against strain", "strain (%)", "stress of the same component (GPa)", curves)
    ]


def _vibrations(path: Path) -> list[Chart]:
    values = read_arrays(path, MOST_BYTES)["frequencies_per_cm"]
    number = np.arange(1, len(values) + 1, dtype=float)
    curve = Curve("wavenumber", number, values, points=True)
    return [Chart("Vibrations", "mode", "wavenumber (cm⁻¹), imaginary below zero", (curve,))]


def _phonons(path: Path) -> list[Chart]:
    arrays = read_arrays(path, MOST_BYTES)
    ends = np.cumsum(arrays["band_segments"])
    distance, bands = arrays["band_distances_per_A"], arrays["band_frequencies_THz"]
    parts = list(zip([0, *ends[:-1]], ends, strict=True))
    curves = tuple(
        Curve("bands", distance[start:end], branch, group="bands")
        for start, end in parts
        for branch in bands[start:end].T
    )
    ticks = _band_ticks(arrays["band_labels"], [distance[a] for a, _ in parts], distance[ends - 1])
    total = Curve("total", arrays["dos_frequencies_THz"], arrays["dos_total_per_THz"])
    return [
        Chart("Phonon bands", "", "frequency (THz)", curves, ticks=ticks),
        Chart("Phonon density of states", "frequency (THz)", "states per THz and cell", (total,)),
    ]


def _band_ticks(labels: Any, starts: Any, ends: Any) -> tuple[tuple[float, str], ...]:
    """Places and names of the points of the path; two names where it jumps."""
    ticks: list[tuple[float, str]] = []
    for (first, last), start, end in zip(labels, starts, ends, strict=True):
        if ticks and ticks[-1][1] != first:
            ticks[-1] = (ticks[-1][0], f"{ticks[-1][1]}|{first}")
        elif not ticks:
            ticks.append((float(start), str(first)))
        ticks.append((float(end), str(last)))
    return tuple(ticks)


def _path(path: Path) -> list[Chart]:
    arrays = read_arrays(path, MOST_BYTES)
    zero = arrays["energies_eV"][0]
    curves = (
        Curve("fit", arrays["fit_path_A"], arrays["fit_energies_eV"] - zero, group="energy"),
        Curve(
            "images", arrays["path_A"], arrays["energies_eV"] - zero, points=True, group="energy"
        ),
    )
    steps = np.arange(len(arrays["fmax_history_eV_per_A"]), dtype=float)
    force = Curve("largest force", steps, arrays["fmax_history_eV_per_A"])
    return [
        Chart("Energy along the path", "distance along the path (Å)", "energy (eV)", curves),
        Chart("Convergence of the path", "step", "largest force (eV/Å)", (force,), log_y=True),
    ]


def _relaxations(path: Path) -> list[Chart]:
    with path.open(encoding="utf-8") as file:
        rows = [parse_json(line.encode()) for line in file if line.strip()]
    numbers = np.array([row["index"] for row in rows], dtype=float)
    steps = np.array([row["steps"] for row in rows], dtype=float)
    energies = [row["energy"] if row["energy"] is not None else np.nan for row in rows]
    return [
        Chart(
            "Relaxed energies", "structure", "energy (eV)",
            (Curve("energy", numbers, np.array(energies, dtype=float), points=True),),
        ),
        Chart("Steps", "structure", "steps", (Curve("steps", numbers, steps, points=True),)),
    ]  # fmt: skip


def _quasiharmonic(path: Path) -> list[Chart]:
    result = read_json(path.parent / RESULT_FILE)
    kelvin = np.array(result["temperatures_K"], dtype=float)
    shown = (
        ("equilibrium_volumes_A3", "Volume", "volume of the primitive cell (Å³)"),
        ("thermal_expansion_per_K", "Thermal expansion", "expansion of the volume (10⁻⁶/K)"),
        ("bulk_modulus_GPa", "Bulk modulus", "bulk modulus (GPa)"),
    )
    charts = []
    for key, title, label in shown:
        scale = 1e6 if key.endswith("per_K") else 1.0
        curve = Curve(title.lower(), kelvin, scale * np.array(result[key], dtype=float))
        charts.append(Chart(title, "temperature (K)", label, (curve,)))
    return charts


def _conductivity(path: Path) -> list[Chart]:
    arrays = read_arrays(path, MOST_BYTES)
    result = read_json(path.parent / RESULT_FILE)
    kelvin = np.array(result["temperatures_K"], dtype=float)
    tensor = arrays["conductivity_W_per_mK"]
    mean = Curve("mean of xx, yy, zz", kelvin, tensor[:, :3].mean(axis=1))
    warm = int(np.argmin(np.abs(kelvin - 300.0)))
    lifetimes = arrays["lifetimes_ps"][warm]
    frequencies = arrays["frequencies_THz"]
    there = np.isfinite(lifetimes) & (lifetimes > 0.0)
    label = f"lifetime at {kelvin[warm]:g} K (ps)"
    points = Curve("modes", frequencies[there], lifetimes[there], points=True)
    return [
        Chart("Thermal conductivity", "temperature (K)", "conductivity (W/(m K))", (mean,)),
        Chart(
            "Lifetimes of phonons",
            "frequency (THz)",
            label,
            (points,),
            log_y=True,
        ),
    ]


def _search(path: Path) -> list[Chart]:
    arrays = read_arrays(path, MOST_BYTES)
    steps = np.arange(len(arrays["energies_eV"]), dtype=float)
    energy = Curve("energy", steps, arrays["energies_eV"] - arrays["energies_eV"][0])
    force = Curve("largest force", steps, arrays["fmax_eV_per_A"])
    return [
        Chart("Search for a saddle point", "step", "energy above the start (eV)", (energy,)),
        Chart("Convergence of the search", "step", "largest force (eV/Å)", (force,), log_y=True),
    ]


def _reaction_coordinate(path: Path) -> list[Chart]:
    arrays = read_arrays(path, MOST_BYTES)
    energy = arrays["energies_above_saddle_eV"] - arrays["energies_above_saddle_eV"][0]
    curve = Curve("energy", arrays["coordinate_A_sqrt_amu"], energy)
    return [Chart("Reaction coordinate", "coordinate (Å amu^1/2)", "energy (eV)", (curve,))]


# In the order in which a page shows them.
CURVES: dict[str, Callable[[Path], list[Chart]]] = {
    "log.csv": _md_log,
    "logs/metrics.csv": _training_log,
    "trajectory.traj": _trajectory,
    "scan.traj": _scan,
    "strains.npz": _strains,
    "neb.npz": _path,
    "search.npz": _search,
    "irc.npz": _reaction_coordinate,
    "vibrations.npz": _vibrations,
    "phonons.npz": _phonons,
    "qha.npz": _quasiharmonic,
    "conductivity.npz": _conductivity,
    "finished.jsonl": _relaxations,
}
