"""The analysis of a trajectory: from its frames and log to numbers, figures and files."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.data import chemical_symbols
from ase.formula import Formula

from ase_geomformer.machine.bounded import read_json, read_yaml
from ase_geomformer.machine.files import expanded
from ase_geomformer.md.analysis import figure
from ase_geomformer.md.analysis.bonds import bonds_and_angles
from ase_geomformer.md.analysis.diffusion import (
    MSD,
    finite_size_correction,
    mean_square_displacement,
)
from ase_geomformer.md.analysis.fluctuations import Fluctuations, fluctuations
from ase_geomformer.md.analysis.frames import Frames, load_frames
from ase_geomformer.md.analysis.rdf import radial_distribution
from ase_geomformer.md.analysis.result import ALL, WHOLE, AnalysisResult
from ase_geomformer.md.analysis.settings import AnalysisSettings
from ase_geomformer.md.analysis.transport import (
    GreenKubo,
    check_charges,
    check_installed,
    conductivity,
    nernst_einstein,
    viscosity,
)
from ase_geomformer.md.analysis.vibrations import VACF, velocity_autocorrelation
from ase_geomformer.md.recorder import PRESSURES
from ase_geomformer.runs.folder import RESULT_FILE, SETTINGS_FILE, RunFolder
from ase_geomformer.runs.provenance import provenance_of_files
from ase_geomformer.runs.report import progress_bar, show
from ase_geomformer.runs.table import read_columns

ARRAYS_FILE = "analysis.npz"
FIGURES = (
    "rdf.png", "bonds.png", "msd.png", "vibrations.png", "viscosity.png", "conductivity.png",
)  # fmt: skip
LOG_FILE = "log.csv"
# Ensembles whose energies fluctuate as theory says, and which of them change the volume.
_SAMPLED = {"nvt-langevin": False, "nvt-bussi": False, "nvt-nose-hoover": False, "npt-mtk": True}
# Relative; cell vectors that differ by more are not those of a cube.
_CUBIC = 1e-3
_STAGES = ("structure", "bonds", "diffusion", "vibrations", "transport", "fluctuations")


@dataclass(frozen=True, eq=False)
class _Source:
    """The run that a trajectory is of, as far as it is known."""

    settings: Mapping[str, Any]
    log: dict[str, np.ndarray]
    provenance: Any

    @classmethod
    def of(cls, source: Any) -> _Source:
        folder = expanded(source) if isinstance(source, str | os.PathLike) else None
        if folder is None or not folder.is_dir():
            return cls({}, {}, None)
        settings = read_yaml(folder / SETTINGS_FILE) if (folder / SETTINGS_FILE).exists() else {}
        result = read_json(folder / RESULT_FILE) if (folder / RESULT_FILE).exists() else {}
        log = read_columns(folder / LOG_FILE) if (folder / LOG_FILE).exists() else {}
        made = result.get("provenance") if isinstance(result, dict) else None
        return cls(settings if isinstance(settings, Mapping) else {}, log, made)

    def number(self, name: str) -> float | None:
        """A setting, if it is a number."""
        value = self.settings.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number and value is not None else None

    @property
    def ensemble(self) -> str:
        return str(self.settings.get("ensemble", ""))


def analyze(
    source: str | os.PathLike[str] | Sequence[Atoms],
    settings: AnalysisSettings | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
    inputs: Mapping[str, Any] | None = None,
) -> AnalysisResult:
    """Structure, diffusion, vibrations and transport of a trajectory.

    Radial distributions with coordination, bond lengths and angles, diffusion with its error,
    vibrational densities of states; of a run's folder also heat capacity, compressibility and
    expansion from fluctuations, and the viscosity if ``log_stress`` was on; with charges the ionic
    conductivity.

    Parameters
    ----------
    source : path or sequence of ase.Atoms
        Folder of a run, file of a trajectory, or frames.
    settings : AnalysisSettings, optional
    output : path, optional
        Folder for ``analysis.npz`` (all curves), ``rdf.png``, ``bonds.png``, ``msd.png``,
        ``vibrations.png``, ``viscosity.png``, ``conductivity.png``, ``settings.yaml`` and
        ``result.json``.
    overwrite : bool
        Replace the files of an earlier analysis.
    progress : bool
        Show a progress bar, and a table at the end.
    inputs : mapping, optional
        What else the analysis was started from, written into ``settings.yaml``.

    Returns
    -------
    AnalysisResult

    Raises
    ------
    FileNotFoundError
        If there is no trajectory.
    ValueError
        If it cannot be read, is too short, or does not have what settings name.
    ImportError
        If charges are given and stacie is not installed.
    """
    began = time.perf_counter()
    settings = settings or AnalysisSettings()
    folder = RunFolder(output, overwrite=overwrite)
    if settings.charges is not None:
        check_installed()
    run = _Source.of(source)
    frames = _chosen(load_frames(source, settings.interval_fs), settings, run)
    symbols = sorted({chemical_symbols[number] for number in frames.numbers})
    pairs = settings.element_pairs(symbols)
    if settings.charges is not None:
        check_charges(frames.numbers, settings.charges)
    kelvin = _temperature(frames, settings, run)
    folder.start({**(inputs or {}), **asdict(settings)}, files=(ARRAYS_FILE, *FIGURES))
    notes: list[str] = []
    with progress_bar("analyze", len(_STAGES), progress) as advance:
        thinned = frames[:: settings.structure_every]
        rdfs = {
            f"{a}-{b}": radial_distribution(
                thinned, a, b, max_distance=settings.max_distance_A, bins=settings.bins
            )
            for a, b in pairs
        }
        advance(1, _STAGES[1])
        bonds = bonds_and_angles(frames, scale=settings.bond_scale, every=settings.structure_every)
        advance(2, _STAGES[2])
        diffusion = _diffusion(frames, symbols, settings, notes)
        advance(3, _STAGES[3])
        vibrations = _vibrations(frames, symbols, settings, notes)
        advance(4, _STAGES[4])
        flow = _viscosity(frames, kelvin, settings, run, notes)
        current, independent = _conductivity(frames, kelvin, settings, diffusion)
        advance(5, _STAGES[5])
        responses = _fluctuations(kelvin, settings, run, notes)
        advance(6)
    counts = {symbol: int((frames.select(symbol)).sum()) for symbol in symbols}
    result = AnalysisResult(
        reason="; ".join(notes) or WHOLE,
        wall_time=time.perf_counter() - began,
        output=folder.path,
        formula=Formula.from_dict(counts).format("hill"),
        frames=len(frames),
        interval_fs=frames.interval_fs,
        temperature_K=kelvin,
        number_of_atoms=len(frames.numbers),
        rdfs=rdfs,
        bonds=bonds,
        diffusion=diffusion,
        correction_A2_per_ps=_correction(frames, kelvin, flow, settings),
        vibrations=vibrations,
        viscosity=flow,
        conductivity=current,
        nernst_einstein_S_per_m=independent,
        fluctuations=responses,
    )
    _write(folder, result, provenance_of_files(_name(source), run.provenance))
    if progress:
        show(result, f"{result.formula}, {len(frames)} frames")
    return result


def _name(source: Any) -> str:
    return str(Path(source)) if isinstance(source, str | os.PathLike) else "frames in memory"


def _start_fs(settings: AnalysisSettings, run: _Source) -> float:
    """Time before which everything is left out."""
    if settings.start_ps is not None:
        return 1000.0 * settings.start_ps
    return (run.number("equilibration_steps") or 0.0) * (run.number("timestep_fs") or 0.0)


def _chosen(frames: Frames, settings: AnalysisSettings, run: _Source) -> Frames:
    first = int(np.ceil(_start_fs(settings, run) / frames.interval_fs - 1e-6))
    if len(frames) - first < 1:
        raise ValueError(
            f"all {len(frames)} frames, {frames.interval_fs:g} fs apart, are before start_ps"
        )
    return frames[first:]


def _temperature(frames: Frames, settings: AnalysisSettings, run: _Source) -> float:
    """As given, that of the thermostat, or the mean of the frames."""
    if settings.temperature_K is not None:
        return settings.temperature_K
    ramp = run.settings.get("temperature_end_K") is not None
    thermostat = run.number("temperature_K")
    if thermostat and run.ensemble in _SAMPLED and not ramp:
        return thermostat
    squares = np.einsum("n,tnc->", frames.masses, (frames.velocities / units.fs) ** 2)
    freedom = max(3 * len(frames.numbers) - 3, 1)
    return float(squares / len(frames) / freedom / units.kB)


def _diffusion(
    frames: Frames, symbols: list[str], settings: AnalysisSettings, notes: list[str]
) -> dict[str, MSD]:
    names = [None, *symbols] if len(symbols) > 1 else [None]
    try:
        unwrapped = frames.unwrapped()
        return {
            name or ALL: mean_square_displacement(unwrapped, name, parts=settings.parts)
            for name in names
        }
    except ValueError as error:
        notes.append(f"no diffusion: {error}")
        return {}


def _vibrations(
    frames: Frames, symbols: list[str], settings: AnalysisSettings, notes: list[str]
) -> dict[str, VACF]:
    names = [None, *symbols] if len(symbols) > 1 else [None]
    try:
        return {
            name or ALL: velocity_autocorrelation(frames, name, max_time_fs=settings.max_time_fs)
            for name in names
        }
    except ValueError as error:
        notes.append(f"no vibrations: {error}")
        return {}


def _rows(settings: AnalysisSettings, run: _Source) -> dict[str, np.ndarray]:
    """The log after equilibration."""
    if "time_fs" not in run.log:
        return {}
    kept = run.log["time_fs"] >= _start_fs(settings, run) - 1e-6
    return {name: column[kept] for name, column in run.log.items()}


def _viscosity(
    frames: Frames,
    kelvin: float,
    settings: AnalysisSettings,
    run: _Source,
    notes: list[str],
) -> GreenKubo | None:
    log = _rows(settings, run)
    if not set(PRESSURES) <= log.keys():
        return None
    apart = np.diff(log["time_fs"])
    fixed = float(np.ptp(np.linalg.det(frames.cells))) == 0.0
    try:
        if not len(apart) or np.ptp(apart) > 1e-6 * apart[0]:
            raise ValueError("the rows of the log are not equally spaced")
        if not fixed:
            raise ValueError("the volume changes; take a run at constant volume")
        pressure = np.stack([log[name] for name in PRESSURES], axis=1)
        volume = float(abs(np.linalg.det(frames.cells[0])))
        return viscosity(pressure, volume, kelvin, float(apart[0]))
    except (ImportError, ValueError) as error:
        notes.append(f"no viscosity: {error}")
        return None


def _conductivity(
    frames: Frames, kelvin: float, settings: AnalysisSettings, diffusion: Mapping[str, MSD]
) -> tuple[GreenKubo | None, tuple[float, float] | None]:
    if settings.charges is None:
        return None, None
    found = conductivity(frames, settings.charges, kelvin)
    elements = {name: one for name, one in diffusion.items() if name != ALL}
    if not elements:
        return found, None
    return found, nernst_einstein(frames, settings.charges, kelvin, elements)


def _correction(
    frames: Frames, kelvin: float, flow: GreenKubo | None, settings: AnalysisSettings
) -> float | None:
    """Of diffusion in a cubic cell, where the viscosity is known."""
    known = settings.viscosity_mPa_s or (None if flow is None else flow.value)
    lengths = np.linalg.norm(frames.cells[0], axis=1)
    square = np.allclose(frames.cells[0] @ frames.cells[0].T, lengths[0] ** 2 * np.eye(3), rtol=0,
                         atol=_CUBIC * max(lengths[0] ** 2, 1e-9))  # fmt: skip
    if known is None or not frames.pbc.all() or not square or known <= 0:
        return None
    return finite_size_correction(kelvin, known, float(lengths[0]))


def _fluctuations(
    kelvin: float, settings: AnalysisSettings, run: _Source, notes: list[str]
) -> Fluctuations | None:
    log = _rows(settings, run)
    ramp = run.settings.get("temperature_end_K") is not None
    if run.ensemble not in _SAMPLED or ramp or "total_energy_eV" not in log:
        return None
    pressure = run.number("pressure_GPa") if _SAMPLED[run.ensemble] else None
    try:
        return fluctuations(log, kelvin, pressure)
    except ValueError as error:
        notes.append(f"no heat capacity: {error}")
        return None


def _write(folder: RunFolder, result: AnalysisResult, made: Mapping[str, Any]) -> None:
    folder.save_arrays(ARRAYS_FILE, result.arrays())
    folder.save_figure("rdf.png", lambda: figure.radial(result.rdfs))
    if result.bonds.lengths:
        folder.save_figure("bonds.png", lambda: figure.bonded(result.bonds))
    if result.diffusion:
        folder.save_figure("msd.png", lambda: figure.displacement(result.diffusion))
    if result.vibrations:
        folder.save_figure("vibrations.png", lambda: figure.spectra(result.vibrations))
    for name, one in result.integrals.items():
        folder.save_figure(f"{name}.png", functools.partial(figure.integral, name, one))
    folder.write_summary(result, made)
