"""The analysis of a trajectory: from its frames and log to numbers, figures and files."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ase import Atoms
from ase.formula import Formula

from ase_geomformer.md.analysis import figure
from ase_geomformer.md.analysis.frames import load_frames
from ase_geomformer.md.analysis.measures import Measures
from ase_geomformer.md.analysis.result import WHOLE, AnalysisResult
from ase_geomformer.md.analysis.settings import AnalysisSettings
from ase_geomformer.md.analysis.source import Source
from ase_geomformer.md.analysis.transport import check_charges, check_installed
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.provenance import provenance_of_files
from ase_geomformer.runs.report import progress_bar, show

ARRAYS_FILE = "analysis.npz"
FIGURES = (
    "rdf.png", "bonds.png", "msd.png", "vibrations.png", "viscosity.png", "conductivity.png",
)  # fmt: skip
_STAGES = ("structure", "bonds", "diffusion", "vibrations", "transport", "fluctuations")


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
    run = Source.of(source)
    frames = run.frames(load_frames(source, settings.interval_fs), settings)
    measures = Measures(frames, settings, run)
    settings.element_pairs(measures.symbols)  # refuses elements that are not there
    if settings.charges is not None:
        check_charges(frames.numbers, settings.charges)
    folder.start({**(inputs or {}), **asdict(settings)}, files=(ARRAYS_FILE, *FIGURES))
    parts = _parts(measures, progress)
    counts = {symbol: int(frames.select(symbol).sum()) for symbol in measures.symbols}
    result = AnalysisResult(
        reason="; ".join(measures.notes) or WHOLE,
        wall_time=time.perf_counter() - began,
        output=folder.path,
        formula=Formula.from_dict(counts).format("hill"),
        frames=len(frames),
        interval_fs=frames.interval_fs,
        temperature_K=measures.kelvin,
        number_of_atoms=len(frames.numbers),
        **parts,
    )
    _write(folder, result, provenance_of_files(run.name, run.provenance))
    if progress:
        show(result, f"{result.formula}, {len(frames)} frames")
    return result


def _parts(measures: Measures, progress: bool) -> dict[str, Any]:
    """All that is computed, by the names that the result has for it."""
    with progress_bar("analyze", len(_STAGES), progress) as advance:
        rdfs = measures.radial_distributions()
        advance(1, _STAGES[1])
        bonds = measures.bonds()
        advance(2, _STAGES[2])
        diffusion = measures.diffusion()
        advance(3, _STAGES[3])
        vibrations = measures.vibrations()
        advance(4, _STAGES[4])
        flow, current = measures.viscosity(), measures.conductivity()
        advance(5, _STAGES[5])
        responses = measures.fluctuations()
        advance(6)
    return {
        "rdfs": rdfs,
        "bonds": bonds,
        "diffusion": diffusion,
        "correction_A2_per_ps": measures.correction(flow),
        "vibrations": vibrations,
        "viscosity": flow,
        "conductivity": current,
        "nernst_einstein_S_per_m": measures.nernst_einstein(diffusion),
        "fluctuations": responses,
    }


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
