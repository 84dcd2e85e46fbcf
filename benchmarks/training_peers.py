"""Training steps of our networks and of others', on the same batches: frames per second.

A step is energy and forces of ten frames of rMD17 ethanol, the loss of both (mean absolute errors),
its gradient with respect to all weights, and AdamW: the same for all, so that only networks differ.
Batches lie ready, with their neighbours where the package allows it. Everyone has a process, in its
own environment, and takes turns with the others; see benchmarks/peers/training, and inference.py
for the environments. From the root of a checkout:

    python benchmarks/training_peers.py --peers ~/peers --output docs/benchmarks/training-peers.json
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from gpu_training import ethanol_settings
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from timing import machine

from ase_geomformer.data.frames import Frame
from ase_geomformer.data.readers import read_frames
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json
from ase_geomformer.training.settings_file import from_yaml

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "benchmarks" / "peers" / "training"
WAYS = ["plain", "compiled"]
TRAINING = "so3krates-rmd17-ethanol"
# One thread; freed memory is kept, for all alike, as our trainings keep it.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_MMAP_THRESHOLD_": str(2**31 - 1),
}


@dataclass(frozen=True)
class Row:
    """What a training took; medians and least of all steps but those of the first turn.

    TorchScript, which some peers use, optimizes itself during its first steps.
    ``weights`` are those that the loss has a gradient for. ``loss`` is that of the last step, in
    units of its own for each network; ours divides errors by the root mean square force.
    """

    name: str
    version: str
    weights: int
    first_step_s: float
    cpu_median_ms: float
    cpu_min_ms: float
    wall_median_ms: float
    frames_per_cpu_s: float
    first_loss: float
    loss: float


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, help="folder of the peers' environments")
    parser.add_argument("--ours", nargs="+", default=[TRAINING], help="potentials that ship")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="of ours")
    parser.add_argument("--frames", type=int, default=10, help="of a batch")
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3, help="steps of a turn")
    parser.add_argument("--turns", type=int, default=6, help="one more is not counted")
    parser.add_argument("--dry", action="store_true", help="a little, of made-up frames, plain")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    console = Console()
    workers = {
        f"{name}, {way}": Worker(Path(sys.executable), SCRIPTS / "_ours.py", name, way)
        for name in options.ours
        for way in (["plain"] if options.dry else options.ways)
    }
    workers |= peers(options.peers, console)
    frames = made_up(options.frames) if options.dry else rmd17(options.frames * options.batches)
    for name, worker in workers.items():
        worker.begin(frames, options.frames)
        console.print(f"{name}: first step {worker.about['first']['wall_s']:.1f} s")
    rows: list[Row] = []
    for turn in range(options.turns + 1):
        for worker in workers.values():
            steps = worker.go_on(options.steps)
            worker.steps += steps if turn else []
        if turn:
            rows = [worker.row(name, options.frames) for name, worker in workers.items()]
            save(options, turn, rows)
    for worker in workers.values():
        worker.stop()
    show(rows, console)


def save(options: Namespace, turns: int, rows: list[Row]) -> None:
    """Write what has been measured so far."""
    if options.output is None:
        return
    content = {
        **machine(),
        "data": "made up" if options.dry else "rMD17 ethanol, training frames of split 1",
        "batch_frames": options.frames,
        "turns": turns,
        "steps_of_a_turn": options.steps,
        "rows": [vars(row) for row in rows],
    }
    write_text(options.output, to_json(content))


class Worker:
    """A process that trains, and waits for its turns."""

    def __init__(self, python: Path, script: Path, *more: str) -> None:
        self._process = subprocess.Popen(
            [str(python), str(script), *more],
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version: str = self._answer()["version"]
        self.about: dict[str, Any] = {}
        self.steps: list[dict[str, float]] = []

    def begin(self, frames: list[Frame], size: int) -> None:
        """Make the batches and take the first step, which may compile."""
        # Energies from their mean: float32 would round those of molecules.
        mean = float(np.mean([frame.energy for frame in frames]))
        batches = [
            {
                "positions": [frame.atoms.positions.tolist() for frame in some],
                "energies": [frame.energy - mean for frame in some],
                "forces": [frame.forces.tolist() for frame in some],
            }
            for some in (frames[start : start + size] for start in range(0, len(frames), size))
        ]
        numbers = frames[0].atoms.numbers.tolist()
        self.about = self._ask({"numbers": numbers, "batches": batches})

    def go_on(self, steps: int) -> list[dict[str, float]]:
        """What some more steps took."""
        found: list[dict[str, float]] = self._ask(steps)
        return found

    def row(self, name: str, size: int) -> Row:
        """What has been measured."""
        cpu = [step["cpu_s"] for step in self.steps]
        return Row(
            name=name,
            version=self.version,
            weights=self.about["weights"],
            first_step_s=self.about["first"]["wall_s"],
            cpu_median_ms=1e3 * statistics.median(cpu),
            cpu_min_ms=1e3 * min(cpu),
            wall_median_ms=1e3 * statistics.median(step["wall_s"] for step in self.steps),
            frames_per_cpu_s=size / statistics.median(cpu),
            first_loss=self.about["first"]["loss"],
            loss=self.steps[-1]["loss"],
        )

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()

    def _ask(self, question: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(("{", "[{")):
                return json.loads(line)
        raise RuntimeError(f"{self._process.args} ended without an answer")


def peers(folder: Path | None, console: Console) -> dict[str, Worker]:
    """The peers that have an environment; the others are named and left out."""
    found = {}
    for script in sorted(SCRIPTS.glob("[!_]*.py")) if folder else []:
        python = folder / script.stem.partition(".")[0] / "bin" / "python"
        if python.exists():
            found[script.stem] = Worker(python, script)
        else:
            console.print(f"{script.stem}: skipped, no environment at {python}")
    return found


def rmd17(number: int) -> list[Frame]:
    """The first training frames of rMD17 ethanol."""
    data = from_yaml(ROOT / "potentials" / TRAINING / "train.yaml").data
    return read_frames(data)[:number]


def made_up(number: int) -> list[Frame]:
    """Frames of ethanol, labelled by the potential that ships."""
    with TemporaryDirectory() as folder:
        return read_frames(ethanol_settings(Path(folder), number).data)


def show(rows: list[Row], console: Console) -> None:
    """Print the figures, with ratios to the first row."""
    table = Table(title="Training steps", box=SIMPLE_HEAD)
    table.add_column("network")
    for heading in ("weights", "first (s)", "median (ms)", "least (ms)", "frames/s", "times"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.weights:,}",
            f"{row.first_step_s:.1f}",
            f"{row.cpu_median_ms:.1f}",
            f"{row.cpu_min_ms:.1f}",
            f"{row.frames_per_cpu_s:.1f}",
            f"{row.cpu_median_ms / rows[0].cpu_median_ms:.2f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
