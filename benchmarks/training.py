"""Speed of training, as ``ase-geomformer train`` does it: all that happens between two batches.

A process trains; every few steps it says what they took and waits for its turn. Where another
checkout is named (``--beside``), its code trains in a process of its own, and the two take turns,
so that both meet the same machine. Times are processor time of the training process, and besides
wall time, which means something on an idle machine only. From the root of a checkout:

    python benchmarks/training.py --beside ../before --output docs/benchmarks/training.json
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Trainings of potentials that ship: molecules, and crystals of 64 atoms with stress.
TRAININGS = [
    f"{architecture}-{data}"
    for data in ("rmd17-ethanol", "mlearn-si")
    for architecture in ("so3krates", "geomformer", "est")
]


@dataclass(frozen=True)
class Row:
    """Speed of one way to train; medians over turns.

    ``loss`` is that of the last step, which is the same step for both checkouts.
    """

    training: str
    checkout: str
    optimizer: str
    compiled: bool
    batch_frames: int
    threads: int
    first_step_s: float
    processor_ms: float
    wall_ms: float
    frames_per_processor_s: float
    loss: float


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainings", nargs="+", choices=TRAININGS, default=TRAININGS)
    parser.add_argument("--sizes", nargs="+", type=int, default=[0], help="frames; 0: as it ships")
    parser.add_argument("--ways", nargs="+", choices=("plain", "compiled"), default=["plain"])
    parser.add_argument("--optimizer", choices=("muon", "adamw"), default="muon")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5, help="steps of a turn")
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--beside", type=Path, help="root of another checkout")
    parser.add_argument("--output", type=Path, help="JSON file to write; rows there are kept")
    parser.add_argument("--work", help="used by this program for the processes that train")
    options = parser.parse_args()
    if options.work is not None:
        work(**json.loads(options.work))
        return
    for training, size, way in product(options.trainings, options.sizes, options.ways):
        rows = measure(options, training, size, way == "compiled")
        for row in rows:
            print(line(row), flush=True)
        if options.output is not None:
            save(options.output, rows)


def measure(options: Namespace, training: str, size: int, compiled: bool) -> list[Row]:
    """Let all checkouts train in turns."""
    checkouts = {"this": ROOT} | ({"before": options.beside} if options.beside else {})
    case = {
        "training": str(ROOT / "potentials" / training / "train.yaml"),
        "size": size,
        "compiled": compiled,
        "optimizer": options.optimizer,
        "steps": options.steps,
        "turns": options.turns + 1,  # the first one is not counted
    }
    workers = {name: start(path, case, options.threads) for name, path in checkouts.items()}
    first = {name: answer(worker) for name, worker in workers.items()}
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for _ in range(options.turns + 1):
        for name, worker in workers.items():
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
            turns[name].append(answer(worker))
    for worker in workers.values():
        worker.communicate()
    rows = []
    for name, found in turns.items():
        processor, wall = (
            statistics.median(turn[kind] for turn in found[1:]) / options.steps
            for kind in ("processor_s", "wall_s")
        )
        frames = first[name]["frames"]
        rows.append(
            Row(
                training=training,
                checkout=name,
                optimizer=options.optimizer,
                compiled=compiled,
                batch_frames=frames,
                threads=options.threads,
                first_step_s=first[name]["wall_s"],
                processor_ms=1e3 * processor,
                wall_ms=1e3 * wall,
                frames_per_processor_s=frames / processor,
                loss=found[-1]["loss"],
            )
        )
    return rows


def start(checkout: Path, case: dict[str, Any], threads: int) -> subprocess.Popen[str]:
    """A process that trains with the code of a checkout, and waits for its turns."""
    environment = os.environ | {
        "PYTHONPATH": str(checkout.resolve()),
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",
        # Two that compile the same into one folder at once may meet half a file.
        "TORCHINDUCTOR_CACHE_DIR": str(Path(gettempdir()) / f"train_{checkout.resolve().name}"),
    }
    command = [sys.executable, str(Path(__file__).resolve()), "--work", json.dumps(case)]
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a scheduler that shares by session treats both alike
    )


def answer(worker: subprocess.Popen[str]) -> dict[str, Any]:
    """The next thing a process says."""
    assert worker.stdout is not None
    for text in worker.stdout:
        if text.startswith("{"):
            found: dict[str, Any] = json.loads(text)
            return found
    raise RuntimeError("a training ended before its time: see what it printed")


def work(training: str, size: int, compiled: bool, optimizer: str, steps: int, turns: int) -> None:
    """Train, and tell after the first step and after every turn what it took."""
    from lightning.pytorch.callbacks import Callback

    from ase_geomformer.machine.allocator import keep_freed_memory
    from ase_geomformer.training import run
    from ase_geomformer.training.settings_file import from_yaml

    keep_freed_memory()  # as the command does

    class Turns(Callback):
        """Waits for a turn, takes it, and tells."""

        def __init__(self) -> None:
            self.began = self.now()

        def now(self) -> tuple[float, float]:
            return time.process_time(), time.perf_counter()

        def on_train_batch_end(
            self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int
        ) -> None:
            if (trainer.global_step - 1) % steps:
                return
            processor, wall = (
                later - before for before, later in zip(self.began, self.now(), strict=True)
            )
            found = {"processor_s": processor, "wall_s": wall, "loss": float(outputs["loss"])}
            print(json.dumps(found | {"frames": batch.graph.num_structures}), flush=True)
            if trainer.global_step <= steps * turns:
                sys.stdin.readline()
            self.began = self.now()

    make_trainer = run.make_trainer

    def with_turns(*arguments: Any) -> Any:
        trainer = make_trainer(*arguments)
        trainer.callbacks.append(Turns())
        return trainer

    run.make_trainer = with_turns
    settings = from_yaml(Path(training))
    settings = replace(
        settings,
        test_data=None,
        batches=replace(settings.batches, size=size or settings.batches.size),
        optimizer=replace(settings.optimizer, kind=optimizer),
        run=replace(
            settings.run,
            steps=1 + steps * turns,
            compile=compiled,
            validate_every=10**6,
            checkpoint_minutes=1e3,
            progress=False,
        ),
    )
    with TemporaryDirectory() as folder:
        run.finish = lambda *_: None
        run.train(settings, Path(folder) / "run")


def line(row: Row) -> str:
    """A row as text."""
    return (
        f"{row.training:26} {row.checkout:7} {row.optimizer:6} "
        f"{'compiled' if row.compiled else 'plain':9}"
        f"{row.batch_frames:3} frames  {row.threads} threads  first {row.first_step_s:6.1f} s  "
        f"{row.processor_ms:8.1f} ms  wall {row.wall_ms:8.1f} ms  "
        f"{row.frames_per_processor_s:7.1f} frames/s  loss {row.loss:.6f}"
    )


def save(path: Path, rows: list[Row]) -> None:
    """Write rows in place of those of the same cases."""
    import torch

    from ase_geomformer.machine.files import write_text
    from ase_geomformer.runs.plain import to_json

    def case(row: dict[str, Any]) -> tuple[Any, ...]:
        names = ("training", "checkout", "optimizer", "compiled", "batch_frames", "threads")
        return tuple(row.get(name) for name in names)

    new = [vars(row) for row in rows]
    old = json.loads(path.read_text())["rows"] if path.exists() else []
    kept = [row for row in old if case(row) not in {case(one) for one in new}]
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "device": platform.processor() or platform.machine(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    write_text(path, to_json({**about, "rows": [*kept, *new]}))


if __name__ == "__main__":
    main()
