"""Long dynamics at constant temperature, with guards, and distances of atoms beside the data's.

Every molecule that a potential was trained on, or the commonest crystal, runs from its frame of
lowest energy under a Langevin thermostat. A run that completes has lost no atom, had no absurd
force and no atoms too close. Bond lengths of molecules, or the radial distribution of crystals,
stand beside those of the labelled frames (those at the nearest temperature, where frames tell it).
From the root of a checkout with the data beside it:

    python benchmarks/stability.py --time_ps 100 --output docs/benchmarks/stability.json --cards

Runs are kept in the work folder and go on where they were when the command is given again. With
--cards the results are written into the potentials' folders, with a figure for each temperature,
for the README.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from distances import Distances, bond_lengths, draw, radial
from drift import nve
from shipped import absent, labelled, merged, shipped, today, training

from ase_geomformer import PotentialCalculator
from ase_geomformer.accuracy.readme.checks import CardCheck
from ase_geomformer.accuracy.readme.page import add_checks
from ase_geomformer.checkpoint.folder import read_card
from ase_geomformer.data.frames import Frame
from ase_geomformer.machine.files import write_text
from ase_geomformer.md import GuardSettings, MDSettings, run_md
from ase_geomformer.md.analysis import Frames, load_frames
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runs.style import save_figure

TEMPERATURES_K = (300.0, 600.0)
NUM_FRAMES = 2000
# Stricter than the default: a hydrogen atom that leaves its molecule has lost its neighbour.
MOLECULE_GAP_A = 2.0


@dataclass(frozen=True)
class Row:
    """One run of one structure."""

    potential: str
    sha256: str
    structure: str
    dtype: str
    temperature_K: float
    mean_temperature_K: float
    timestep_fs: float
    time_ps: float
    completed: bool
    reason: str
    steps_per_second: float


RUN = ("potential", "structure", "dtype", "temperature_K")
"""What tells one run from another."""


def main() -> None:
    """Run, print, draw, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potentials", nargs="+", help="names; all shipped ones where left out")
    parser.add_argument("--structures", nargs="+", help="chemical formulas; all where left out")
    parser.add_argument("--temperatures_K", nargs="+", type=float, default=list(TEMPERATURES_K))
    parser.add_argument("--time_ps", type=float, default=100.0)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:N]")
    parser.add_argument("--plain", action="store_true", help="do not compile")
    parser.add_argument("--work", type=Path, default=Path("runs/stability"), help="of the runs")
    parser.add_argument("--output", type=Path, help="JSON file to write; other rows in it stay")
    parser.add_argument("--cards", action="store_true", help="write into the potentials' folders")
    options = parser.parse_args()
    for name in options.potentials or shipped():
        measure(name, shipped()[name], options)


def measure(name: str, folder: Path, options: Namespace) -> None:
    """All runs of a potential, and what is told of them."""
    settings = training(folder)
    sources = [settings.data, *([settings.test_data] if settings.test_data else [])]
    if missing := absent(*sources):
        print(f"{name}: skipped, there is no {missing[0]}")
        return
    data = labelled(*sources)
    sha256 = read_card(folder).sha256
    calculator = PotentialCalculator(
        name, dtype=options.dtype, device=options.device, compile=not options.plain
    )
    for temperature_K in options.temperatures_K:
        groups = chosen(alike(data, temperature_K), options.structures)
        rows, runs = [], []
        for frames in groups:
            row, run = simulate(name, sha256, calculator, frames, temperature_K, options)
            rows.append(row)
            runs.append(run)
            print(f"{name}, {row.structure}, {temperature_K:g} K: {row.reason}", flush=True)
            if options.output is not None:
                write_text(options.output, to_json(merged(options.output, asdict(row), *RUN)))
        if options.cards:
            found, reference = compared(runs, groups)
            told = label(groups[0])
            curves = {told: reference, f"potential, {temperature_K:g} K": found}
            picture = f"stability_{temperature_K:g}K.png"
            save_figure(draw(curves), folder / picture)
            outcome = check(rows, found, reference, told, picture, apart(groups[0], temperature_K))
            add_checks(folder, {f"nvt_{temperature_K:g}K": outcome})


def alike(data: list[Frame], temperature_K: float) -> list[list[Frame]]:
    """Frames of each molecule, or of the commonest crystal at the nearest temperature."""
    crystals = [frame for frame in data if frame.atoms.pbc.all()]
    if not crystals:
        formulas = dict.fromkeys(formula(frame) for frame in data)
        return [[frame for frame in data if formula(frame) == one] for one in formulas]
    commonest = Counter(formula(frame) for frame in crystals).most_common(1)[0][0]
    frames = [frame for frame in crystals if formula(frame) == commonest]
    # Of several frameworks with one formula, that which the run starts from.
    framework = lowest(frames).atoms.info.get("topology")
    frames = [frame for frame in frames if frame.atoms.info.get("topology") == framework]
    known = [frame for frame in frames if "T_K" in frame.atoms.info]
    if not known:
        return [frames]
    nearest = min((temperature(frame) for frame in known), key=lambda it: abs(it - temperature_K))
    return [[frame for frame in known if temperature(frame) == nearest]]


def chosen(groups: list[list[Frame]], formulas: list[str] | None) -> list[list[Frame]]:
    """The groups of these chemical formulas."""
    if formulas is None:
        return groups
    names = [frames[0].atoms.get_chemical_formula() for frames in groups]
    if unknown := set(formulas) - set(names):
        raise SystemExit(f"no frames of {', '.join(sorted(unknown))}: there are {', '.join(names)}")
    return [frames for frames, name in zip(groups, names, strict=True) if name in formulas]


def formula(frame: Frame) -> str:
    """Which structures are alike: the elements in their order."""
    return str(frame.atoms.symbols)


def temperature(frame: Frame) -> float:
    """The temperature of a frame that tells it."""
    return float(frame.atoms.info["T_K"])


def label(frames: list[Frame]) -> str:
    """The labelled frames in a word."""
    known = "T_K" in frames[0].atoms.info
    if known:
        return f"data, {temperature(frames[0]):g} K"
    return "data, not of one temperature" if frames[0].atoms.pbc.all() else "data"


def lowest(frames: list[Frame]) -> Frame:
    """The frame of lowest energy."""
    return min(frames, key=lambda frame: frame.energy or 0.0)


def simulate(
    name: str,
    sha256: str,
    calculator: PotentialCalculator,
    frames: list[Frame],
    temperature_K: float,
    options: Namespace,
) -> tuple[Row, Frames]:
    """One run, and its frames after the first tenth."""
    start = lowest(frames).atoms.copy()
    settings = nvt(start, temperature_K, options.time_ps)
    folder = options.work / f"{name}-{start.symbols}-{temperature_K:g}K-{options.dtype}"
    result = run_md(start, calculator, settings, output=folder, resume=True)
    row = Row(
        potential=name,
        sha256=sha256,
        structure=start.get_chemical_formula(),
        dtype=options.dtype,
        temperature_K=temperature_K,
        mean_temperature_K=result.averages["temperature_K"].mean if result.averages else np.nan,
        timestep_fs=settings.timestep_fs,
        time_ps=result.steps * settings.timestep_fs / 1000.0,
        completed=result.completed,
        reason=result.reason,
        steps_per_second=result.steps_per_second,
    )
    trajectory = load_frames(folder)
    return row, trajectory[len(trajectory) // 10 :]


def nvt(atoms: Atoms, temperature_K: float, time_ps: float) -> MDSettings:
    """Constant temperature with the time step of the runs at constant energy."""
    settings = nve(atoms, time_ps)
    guards = GuardSettings() if atoms.pbc.any() else GuardSettings(max_gap_A=MOLECULE_GAP_A)
    return replace(
        settings,
        ensemble="nvt-langevin",
        temperature_K=temperature_K,
        equilibration_steps=settings.steps // 10,
        trajectory_interval=max(1, settings.steps // NUM_FRAMES),
        guards=guards,
    )


def compared(runs: list[Frames], groups: list[list[Frame]]) -> tuple[Distances, Distances]:
    """Distances in the runs and in the labelled frames."""
    references = [
        load_frames([frame.atoms for frame in frames], interval_fs=1.0) for frames in groups
    ]
    if runs[0].pbc.all():
        return radial(runs[0]), radial(references[0])
    starts = [lowest(frames).atoms for frames in groups]
    return bond_lengths(runs, starts), bond_lengths(references, starts)


def apart(frames: list[Frame], temperature_K: float) -> str:
    """What is to be said where the nearest labelled frames are of another temperature."""
    first = frames[0].atoms
    if "T_K" not in first.info:
        several = " The labelled frames are not of one temperature: only positions compare."
        return several if first.pbc.all() else ""
    if abs(temperature(frames[0]) - temperature_K) < 10.0:
        return ""
    other = temperature(frames[0])
    lower = "lower and wider" if other > temperature_K else "higher and narrower"
    return (
        f" The nearest labelled frames are at {other:g} K: their peaks are {lower} for that "
        "reason, and only positions compare."
    )


def check(
    rows: list[Row], found: Distances, reference: Distances, told: str, picture: str, remark: str
) -> CardCheck:
    """What the README says of the runs at one temperature."""
    first = rows[0]
    failed = "; ".join(f"{row.structure}: {row.reason}" for row in rows if not row.completed)
    return CardCheck(
        sha256=first.sha256,
        title=f"{max(row.time_ps for row in rows):g} ps at {first.temperature_K:g} K",
        outcome=f"Stopped: {failed}." if failed else "All steps made, no guard tripped.",
        conditions=f"Langevin dynamics of {', '.join(row.structure for row in rows)}, "
        f"{first.timestep_fs:g} fs, {first.dtype}; averages leave out the first tenth "
        f"(`benchmarks/stability.py`).{remark}",
        values={
            "mean_temperature_K": float(np.mean([row.mean_temperature_K for row in rows])),
            **found.values,
        },
        references=reference.values,
        reference=told,
        picture=picture,
        date=today(),
    )


if __name__ == "__main__":
    main()
