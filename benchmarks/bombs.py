"""Files that were made to fill the memory or to take hours: what refusing each of them costs.

From the root of a checkout, on Linux:

    python benchmarks/bombs.py --output docs/benchmarks/bombs.json

Each file is made in a temporary folder and read in a process of its own, by the command line or
by the function that reads such a file. The process imports what the reading needs, and takes its
memory then; the figure is how much higher its peak was at the end. Seconds are of wall clock and
of the processor, without that import.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import molecule
from ase.io import write
from timing import machine

from ase_geomformer.machine.files import write_text
from ase_geomformer.registry import find_potential
from ase_geomformer.runs.plain import to_json

POTENTIAL = "so3krates-rmd17-ethanol"
# A file that costs more than this is ended, and the row says so.
MOST_SECONDS = 120.0
STRUCTURE = "ethanol.xyz"


@dataclass(frozen=True)
class Bomb:
    """A file, how it is made, and how it is read.

    Attributes
    ----------
    what : str
    make : callable
        Writes it into a folder.
    words : sequence of str
        Arguments of the command line, FOLDER in them being the folder; or ``module:function``
        and the file.
    before : str
        What it cost before files were bounded, where that was measured.
    """

    what: str
    make: Callable[[Path], object]
    words: Sequence[str]
    before: str = ""


def aliases(folder: Path) -> None:
    """Ten levels of YAML, each with the one before ten times: 10^10 values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 10):
        inner = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{inner}]")
    (folder / "md.yaml").write_text("\n".join(lines))


def card(text: Callable[[dict[str, Any]], str]) -> Callable[[Path], None]:
    """A potential with another card."""

    def make(folder: Path) -> None:
        shutil.copytree(find_potential(POTENTIAL), folder / "potential")
        path = folder / "potential" / "card.json"
        path.write_text(text(json.loads(path.read_text())))

    return make


def restart(folder: Path) -> None:
    """A run whose restart file has 10 GB of zeros in 10 MB."""
    (folder / "settings.yaml").write_text("ensemble: nve\n")
    header = io.BytesIO()
    shape = (10**10 // 8,)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    with (
        zipfile.ZipFile(folder / "restart.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("facts.npy", "w", force_zip64=True) as file,
    ):
        file.write(header.getvalue())
        for _ in range(10**10 // 10**7):
            file.write(bytes(10**7))


def pickled(program: bytes) -> Callable[[Path], object]:
    """A checkpoint of another program."""
    return lambda folder: (folder / "params.pkl").write_bytes(program)


def shared_mappings() -> bytes:
    """Forty levels of mappings that each hold the one before twice."""
    levels = b"}q\x00"
    for level in range(40):
        held = b"h" + bytes([level])
        levels += b"}q" + bytes([level + 1]) + b"(X\x01\x00\x00\x00a" + held
        levels += b"X\x01\x00\x00\x00b" + held + b"u"
    return b"\x80\x02" + levels + b"."


def brackets(folder: Path) -> None:
    """Hyperparameters of 100,000 brackets, beside parameters in safetensors."""
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, folder / "so3lr.safetensors")
    (folder / "hyperparameters.json").write_text("[" * 100_000)


def header(folder: Path) -> None:
    """An xyz file of 10^18 atoms and one line."""
    (folder / "huge.xyz").write_text(f"{10**18}\nProperties=species:S:1:pos:R:3\nH 0 0 0\n")


def trajectory(folder: Path) -> None:
    """A trajectory whose first frame claims (100, 10^12, 48) positions."""
    path = folder / "huge.traj"
    write(path, molecule("CH3CH2OH"))
    text = json.dumps({"positions.": {"ndarray": [[100, 10**12, 48], "float64", 48]}}).encode()
    (table,) = struct.unpack("<q", path.read_bytes()[40:48])
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        file.write(struct.pack("<q", len(text)) + text)
        file.seek(table)
        file.write(struct.pack("<q", end))


def checkpoint(folder: Path) -> None:
    """A checkpoint of a training with 4 GB of zeros in 4 MB."""
    with (
        zipfile.ZipFile(folder / "last.ckpt", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("archive/data/0", "w", force_zip64=True) as file,
    ):
        for _ in range(400):
            file.write(bytes(10**7))


def configured(path: str) -> tuple[str, ...]:
    """The command line of a dynamics run with a settings file."""
    given = ("--potential", POTENTIAL, "--structure", f"FOLDER/{STRUCTURE}")
    return ("md", "--config", f"FOLDER/{path}", *given, "--output", "FOLDER/run")


def evaluated(potential: str, structure: str) -> tuple[str, ...]:
    """The command line of an energy."""
    return ("singlepoint", "--potential", potential, "--structure", structure)


RESUMED = ("md", "--potential", POTENTIAL, "--structure", f"FOLDER/{STRUCTURE}", "--output",
           "FOLDER", "--resume")  # fmt: skip
PICKLE = ("ase_geomformer.convert.restricted_pickle:read_arrays", "FOLDER/params.pkl")
CONVERTED = ("convert", "so3lr", "FOLDER/so3lr.safetensors", "--output", "FOLDER/run")
BROKEN, SOUND = evaluated("FOLDER/potential", f"FOLDER/{STRUCTURE}"), POTENTIAL

BOMBS = [
    Bomb("settings: ten levels of YAML aliases, 10^10 values", aliases, configured("md.yaml"),
         "4.2 GB in 10 min"),
    Bomb("settings: a pipe", lambda folder: os.mkfifo(folder / "pipe.yaml"),
         configured("pipe.yaml")),
    Bomb("card: a string of 20 MB",
         card(lambda held: json.dumps({**held, "description": "x" * 20_000_000})), BROKEN,
         "2.9 GB"),
    Bomb("card: 30 MB of `[]`", card(lambda _: "[" + "[]," * 10_000_000 + "[]]"), BROKEN, "59 s"),
    Bomb("`restart.npz`: 10 GB of zeros in 10 MB", restart, RESUMED),
    Bomb("`last.ckpt`: 4 GB of zeros in 4 MB", checkpoint,
         ("ase_geomformer.training.last_checkpoint:check_checkpoint", "FOLDER/last.ckpt")),
    Bomb("pickle: a mapping that holds itself",
         pickled(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."), PICKLE),
    Bomb("pickle: 20,000 levels", pickled(b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b"."),
         PICKLE),
    Bomb("pickle: shared mappings, 2^40 paths", pickled(shared_mappings()), PICKLE),
    Bomb("pickle: `LONG_BINPUT` 2^28",
         pickled(b"\x80\x02}r" + struct.pack("<I", 2**28) + b"."), PICKLE),
    Bomb("`hyperparameters.json`: 100,000 brackets", brackets, CONVERTED),
    Bomb("xyz: a header of 10^18 atoms", header, evaluated(SOUND, "FOLDER/huge.xyz")),
    Bomb("traj: a claim of (100, 10^12, 48)", trajectory, evaluated(SOUND, "FOLDER/huge.traj")),
]  # fmt: skip


def peak() -> float:
    """The largest resident set of this process so far in MB."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def read(words: Sequence[str]) -> None:
    """In a process of its own: read a file, and print what that cost as JSON."""
    import importlib

    import ase.io
    import torch  # noqa: F401 - part of what every verb imports

    from ase_geomformer.cli import main as command

    for name in ("calculator", "md", "convert.so3lr", "runs.structures", "commands.options"):
        importlib.import_module(f"ase_geomformer.{name}")
    action: Callable[[], int] = lambda: command(list(words))  # noqa: E731
    if ":" in words[0]:
        module, name = words[0].split(":")
        reader = getattr(importlib.import_module(module), name)

        def action() -> int:
            try:
                reader(Path(words[1]))
            except ValueError as error:
                sys.stderr.write(f"{error}\n")
                return 2
            return 0

    assert ase.io.read
    before = peak()
    wall, processor = time.perf_counter(), time.process_time()
    code = action()
    figures = {
        "exit_code": code,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - processor,
        "memory_MB": peak() - before,
    }
    sys.stdout.write(json.dumps(figures))


def measure(bomb: Bomb) -> dict[str, Any]:
    """What a file costs that is read in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write(folder / STRUCTURE, molecule("CH3CH2OH"))
        bomb.make(folder)
        words = [word.replace("FOLDER", place) for word in bomb.words]
        try:
            done = subprocess.run(
                [sys.executable, __file__, "--read", *words],
                capture_output=True, text=True, check=False, timeout=MOST_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"what": bomb.what, "before": bomb.before, "ended_after_s": MOST_SECONDS}
        figures = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
        line = done.stderr.strip().replace(place, "FOLDER")
        return {"what": bomb.what, "before": bomb.before, **figures, "error": line}


def show(row: dict[str, Any]) -> None:
    """Print a row of the table."""
    cells = [row["what"], row["before"]]
    for name, form in (("memory_MB", ".0f"), ("cpu_s", ".2f"), ("exit_code", "")):
        cells.append(format(row[name], form) if name in row else "-")
    sys.stdout.write("| " + " | ".join(cells) + " |\n")
    sys.stderr.write(f"    {row.get('error', '')[:300]}\n")


def main() -> None:
    """Measure, print a table, and write JSON."""
    if sys.argv[1:2] == ["--read"]:
        read(sys.argv[2:])
        return
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    sys.stdout.write(
        "| file | before | MB | processor seconds | exit code |\n|---|---|---|---|---|\n"
    )
    rows = []
    for bomb in BOMBS:
        rows.append(measure(bomb))
        show(rows[-1])
    if options.output is not None:
        write_text(options.output, to_json({**machine(), "rows": rows}))


if __name__ == "__main__":
    main()
