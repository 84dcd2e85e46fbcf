"""Statistics of the training data of shipped potentials, and how well they tell errors.

    python benchmarks/confidence.py NAME [NAME ...] [--fit]
    python benchmarks/confidence.py --table

The data sets are found as ``train.yaml`` names them: got by ``ase-geomformer data get``, or in the
folders of $ASE_GEOMFORMER_DATASETS.

With --fit, ``confidence.safetensors`` is written into the folder of each potential, from the
training data that its ``train.yaml`` names; half of the test data calibrate. The other half give
the false alarms of the domain check, and the calibration: found errors against expected ones.
Other structures give its recall. Numbers go to ``docs/benchmarks/confidence/NAME.json``; --table
prints those of all for docs/trust.md and draws ``docs/images/calibration.png``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from confidence_cases import APART, cases, is_apart

from ase_geomformer.accuracy.calibration import SYMMETRIC, errors_of, features_of, fit_confidence
from ase_geomformer.confidence.file import write_confidence
from ase_geomformer.data.frames import Frame
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.splits import split_frames
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.potential import Potential
from ase_geomformer.registry import find_potential, load_potential
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runs.style import PAGE, SERIES, dress, new_figure, save_figure
from ase_geomformer.runtime.domain import known_confidence, outside
from ase_geomformer.runtime.features import atom_features
from ase_geomformer.training.settings_file import from_yaml

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "benchmarks" / "confidence"


def fit(name: str) -> float:
    """Write the statistics of a potential; seconds that took."""
    started = time.process_time()
    folder = find_potential(name)
    settings = from_yaml(folder / "train.yaml")
    frames = read_frames(settings.data)
    train = [frames[i] for i in split_frames(frames, settings.split).train]
    calibrating, _ = halves(name)
    made = fit_confidence(load_potential(folder), train, calibrating)
    write_confidence(folder, made)
    return time.process_time() - started


def halves(name: str) -> tuple[list[Frame], list[Frame]]:
    """Known test frames to calibrate with, and to judge by; up to 200 each."""
    frames = [frame for frame in tests(name) if not is_apart(name, frame)]
    order = np.random.default_rng(1).permutation(len(frames))[:400]
    return [frames[i] for i in order[::2]], [frames[i] for i in order[1::2]]


def tests(name: str) -> list[Frame]:
    """All test frames of a potential."""
    settings = from_yaml(find_potential(name) / "train.yaml")
    assert settings.test_data is not None
    return read_frames(settings.test_data)


def judge(name: str) -> dict[str, Any]:
    """False alarms, recall and calibration of a potential."""
    potential = load_potential(name)
    exact = potential.copy(dtype=torch.float64)
    _, frames = halves(name)
    spread, energies, forces, errors = expected_and_found(exact, frames)
    alarms = [reason(exact, frame.atoms) for frame in frames]
    return {
        "test_frames": len(frames),
        "false_alarms": sum(alarm is not None for alarm in alarms),
        "energy": calibration(spread, energies),
        "forces": calibration(forces, errors),
        "others": {label: recall(exact, structures) for label, structures in others(name).items()},
        "apart": missed(exact, [frame for frame in tests(name) if is_apart(name, frame)]),
    }


def expected_and_found(
    potential: Potential, frames: list[Frame]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Expected and found errors of the energies (eV), and of the forces where there are any."""
    confidence = known_confidence(potential)
    energies, squares = errors_of(potential, frames)
    found = features_of(potential, [f.atoms for f in frames], np.random.default_rng(2), False)
    spread = confidence.energy_uncertainty(found.sums)
    variances = (found.slopes @ confidence.root.double()).square().sum(dim=2).mean(dim=1)
    forces = confidence.forces_factor * (variances / (3.0 * found.sizes)).sqrt()
    kept = forces > SYMMETRIC**0.5 * forces.mean()
    return spread, energies.abs(), forces[kept], squares.sqrt()[kept]


def missed(potential: Potential, frames: list[Frame]) -> dict[str, float] | None:
    """Root mean square errors of the forces on frames unlike the training data, eV/Å."""
    if not frames:
        return None
    _, _, forces, errors = expected_and_found(potential, frames)
    return {
        "expected": float(forces.square().mean().sqrt()),
        "found": float(errors.square().mean().sqrt()),
    }


def reason(potential: Potential, atoms: Atoms) -> str | None:
    """Why a structure is outside of the domain."""
    graph = AtomGraph.from_atoms(atoms, potential.cutoff, far_cutoff=potential.far_cutoff)
    features = atom_features(potential, graph)
    return outside(known_confidence(potential), graph, features, [atoms])


def recall(potential: Potential, structures: list[Atoms]) -> dict[str, Any]:
    """How many of structures that are unlike the training data are named."""
    found = [reason(potential, atoms) for atoms in structures]
    return {
        "structures": len(structures),
        "named": sum(one is not None for one in found),
        "first": next((one for one in found if one), None),
    }


def calibration(expected: torch.Tensor, errors: torch.Tensor) -> dict[str, Any]:
    """Root mean squares of expected and found errors in tenths of the structures by the first."""
    order = expected.argsort()
    parts = [part for part in order.tensor_split(10) if len(part)]
    within = (errors <= 2.0 * expected).double().mean()
    ranks = torch.stack([expected, errors]).argsort(dim=1).argsort(dim=1).double()
    return {
        "expected": [float(expected[part].square().mean().sqrt()) for part in parts],
        "found": [float(errors[part].square().mean().sqrt()) for part in parts],
        "within_two": float(within),
        "rank_correlation": float(torch.corrcoef(ranks)[0, 1]),
        "ratio": float((errors / expected).square().mean().sqrt()),
    }


def others(name: str) -> dict[str, list[Atoms]]:
    """Structures that are unlike the training data, by what they are."""
    found = cases(name, [frame.atoms for frame in halves(name)[1][:50]])
    apart = [frame.atoms for frame in tests(name) if is_apart(name, frame)]
    return {**found, APART[name][-1]: apart} if apart else found


def table() -> None:
    """Print the table of the docs, and draw expected against found errors."""
    print("| potential | kB | false alarms | energy: found / expected, rank | forces | not named |")
    print("|---|---|---|---|---|---|")
    figure = new_figure(PAGE, 3.6)
    axes = figure.subplots(1, 2)
    files = sorted(RESULTS.glob("*.json"))
    for place, file in enumerate(files):
        content = json.loads(file.read_text(encoding="utf-8"))
        cells = [
            f"{content[kind]['ratio']:.2f}, {content[kind]['rank_correlation']:.2f}"
            for kind in ("energy", "forces")
        ]
        missed = [
            f"{label} ({one['structures'] - one['named']} of {one['structures']})"
            for label, one in content["others"].items()
            if one["named"] < one["structures"]
        ]
        alarms = f"{content['false_alarms']} of {content['test_frames']}"
        size = f"{content['file_bytes'] / 1000:.0f}"
        print("|", " | ".join([f"`{file.stem}`", size, alarms, *cells, "; ".join(missed)]), "|")
        for one, kind in zip(axes, ("energy", "forces"), strict=True):
            expected, found = (1000.0 * np.array(content[kind][n]) for n in ("expected", "found"))
            colour, mark = SERIES[place % len(SERIES)], "osd^"[place // len(SERIES)]
            one.loglog(expected, found, mark, color=colour, markersize=3, label=file.stem)
    for one, unit in zip(axes, ("meV", "meV/Å"), strict=True):
        one.axline((1.0, 1.0), (2.0, 2.0), color="grey", lw=0.8)
        one.set(xlabel=f"expected error ({unit})", ylabel=f"found error ({unit})")
        dress(one)
    axes[0].set_title("energies of structures")
    axes[1].set_title("forces")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    save_figure(figure, ROOT / "docs" / "images" / "calibration.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    RESULTS.mkdir(parents=True, exist_ok=True)
    if options.table:
        table()
    for name in options.names:
        seconds = fit(name) if options.fit else None
        found = judge(name)
        size = (find_potential(name) / "confidence.safetensors").stat().st_size
        content = {"fit_seconds": seconds, "file_bytes": size, **found}
        (RESULTS / f"{name}.json").write_text(to_json(content), encoding="utf-8")
        print(name, to_json(content), flush=True)


if __name__ == "__main__":
    main()
