"""Random damage to potentials on disk and to structures, for as long as asked.

From the root of a checkout (``make fuzz``):

    python benchmarks/fuzz.py --seconds 600 --seed 1 --output docs/benchmarks/fuzz.json

A damaged potential must load or be refused with CheckpointError; a hostile structure must give
finite numbers or be refused with ValueError. Anything else is printed with the seed that leads to
it, and the exit code is 1.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
import sys
import tempfile
import time
import traceback
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from timing import machine

from ase_geomformer import Potential, PotentialCalculator
from ase_geomformer.architectures import build
from ase_geomformer.checkpoint.folder import (
    CARD_FILE,
    WEIGHTS_FILE,
    Card,
    CheckpointError,
    load_folder,
    save_potential,
)
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json

SETTINGS = {"num_features": 16, "num_layers": 1, "num_heads": 2, "degrees": (1, 2)}
# Values that break what does not expect them.
NASTY = (
    None, True, 0, -1, 1, 3, 10**9, 10**400, 0.0, -0.5, 1e308, "", "x", "../../x", "\x00",
    [], [[]], [None], {}, {"": 0}, [1, 2, 3], [1e300] * 3,
)  # fmt: skip


def main() -> int:
    """Damage, count, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = {name: Counter() for name in TRIALS}
    seed = options.seed
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "potential")
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            for name, trial in TRIALS.items():
                counts[name][attempt(trial, bench, seed)] += 1
            seed += 1
    for name, found in counts.items():
        print(f"{name}: " + ", ".join(f"{what} {number}" for what, number in found.items()))
    if options.output is not None:
        write_text(options.output, to_json({**machine(), "first_seed": options.seed, **counts}))
    return int(any(found["broken"] for found in counts.values()))


class Bench:
    """A sound potential, in memory and on disk, to be damaged again and again."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        architecture = build("so3krates", {**SETTINGS, "message_normalization": "identity"})
        self.potential = Potential(architecture, ["H", "C", "O"])
        self.folder = folder
        save_potential(self.potential, folder, Card("fuzzed"), [molecule("CH3CH2OH")])
        self.files = {name: (folder / name).read_bytes() for name in (CARD_FILE, WEIGHTS_FILE)}
        self.card = json.loads(self.files[CARD_FILE])

    def load(self, changes: dict[str, bytes]) -> str:
        """Load with some files changed, and put them back."""
        for name, content in changes.items():
            (self.folder / name).write_bytes(content)
        try:
            load_folder(self.folder)
        except CheckpointError:
            return "refused"
        finally:
            for name in changes:
                (self.folder / name).write_bytes(self.files[name])
        return "loaded"


def attempt(trial: Callable[[Bench, random.Random], str], bench: Bench, seed: int) -> str:
    """The outcome of one trial; ``broken`` where it is none that may be."""
    try:
        return trial(bench, random.Random(seed))
    except Exception:
        print(f"seed {seed}, {trial.__name__}:", file=sys.stderr)
        traceback.print_exc()
        return "broken"


def card_values(bench: Bench, rng: random.Random) -> str:
    """One to three values anywhere in the card become nasty ones."""
    card = json.loads(bench.files[CARD_FILE])
    for _ in range(rng.randint(1, 3)):
        place: Any = card
        while True:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = rng.choice(keys) if keys else None
            if key is None:
                break
            if not isinstance(place[key], dict | list) or not place[key] or rng.random() < 0.2:
                place[key] = copy.deepcopy(rng.choice(NASTY))
                break
            place = place[key]
    return bench.load({CARD_FILE: written(card)})


def card_bytes(bench: Bench, rng: random.Random) -> str:
    """Bits flip, pieces go missing or come twice, in the card."""
    return bench.load({CARD_FILE: garbled(bench.files[CARD_FILE], rng)})


def weights_bytes(bench: Bench, rng: random.Random) -> str:
    """The same in the weights, behind which the checksum is made to fit."""
    weights = bench.files[WEIGHTS_FILE]
    if rng.random() < 0.5:
        weights = garbled(weights, rng)
    else:
        header = 8 + int.from_bytes(weights[:8], "little")
        weights = garbled(weights[:header], rng) + weights[header:]
    card = {**bench.card, "sha256": hashlib.sha256(weights).hexdigest()}
    return bench.load({WEIGHTS_FILE: weights, CARD_FILE: written(card)})


def structures(bench: Bench, rng: random.Random) -> str:
    """Atoms anywhere, in cells of any kind, periodic along any axes."""
    count = rng.randint(0, 6)
    scale = 10.0 ** rng.uniform(-3, 7)
    atoms = Atoms(
        [rng.choice((1, 6, 8, 8, 1, 0, 54)) if rng.random() < 0.1 else 8 for _ in range(count)],
        positions=[[rng.gauss(0, scale) for _ in range(3)] for _ in range(count)],
        cell=np.array([[rng.gauss(0, 10.0 ** rng.uniform(-2, 6)) for _ in range(3)]] * 3)
        * [[rng.choice((0, 1, -1)) for _ in range(3)] for _ in range(3)],
        pbc=[rng.random() < 0.5 for _ in range(3)],
        info={"charge": rng.choice((0, 1.0, None, "x", np.float32(1)))}
        if rng.random() < 0.1
        else {},
    )
    if count and rng.random() < 0.1:
        atoms.positions[0, 0] = rng.choice((np.nan, np.inf))
    calculator = PotentialCalculator(bench.potential, device="cpu")
    try:
        energy, forces = (calculator.get_property(name, atoms) for name in ("energy", "forces"))
    except ValueError:
        return "refused"
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        raise AssertionError(f"{atoms!r}, {atoms.positions!r}: energy {energy}, forces {forces}")
    return "evaluated"


def written(card: dict[str, Any]) -> bytes:
    return json.dumps(card).encode()


def garbled(content: bytes, rng: random.Random) -> bytes:
    """Bytes with some of them changed, gone, repeated or cut off."""
    damaged = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(damaged)) if damaged else 0
        kind = rng.randrange(4)
        if kind == 0 and damaged:
            damaged[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del damaged[place : place + rng.randint(1, 64)]
        elif kind == 2:
            damaged[place:place] = damaged[place : place + rng.randint(1, 64)]
        elif rng.random() < 0.1:
            del damaged[place:]
    return bytes(damaged)


TRIALS = {trial.__name__: trial for trial in (card_values, card_bytes, weights_bytes, structures)}


if __name__ == "__main__":
    sys.exit(main())
