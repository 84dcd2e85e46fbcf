"""The restart file of a path-integral run, and its check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.engines.ipi.settings import PathIntegralSettings
from ase_geomformer.engines.ipi.simulation import RingPolymer, State, facts_of
from ase_geomformer.md import restart
from ase_geomformer.md.restart_facts import made_of
from ase_geomformer.runs.same import check_same
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.plain import settings_from
from ase_geomformer.settings.ranges import ranged

# What a resumed run may do otherwise than before.
FREE = {"steps", "log_interval", "trajectory_interval", "checkpoint_interval"}
_MOST = 2**62
_KEY = 624


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything in a restart file that is not an array.

    Attributes
    ----------
    version, step : int
    settings : dict
        Of :class:`~ase_geomformer.engines.ipi.settings.PathIntegralSettings`.
    position, conserved_energy_eV
        As in :class:`~ase_geomformer.engines.ipi.simulation.State`.
    wall_time_s : float
    files : dict of str to list of int
        Where the files ended, as their formats give it.
    evaluation : str, list of str or None
        How the calculator evaluated.
    """

    version: int
    step: int = ranged(MISSING, 0, 10**12)
    settings: dict[str, Any]
    position: int = ranged(MISSING, 0, _KEY)
    conserved_energy_eV: float = ranged(MISSING, -1e15, 1e15, "eV")
    wall_time_s: float = ranged(MISSING, 0, 1e12)
    files: dict[str, list[int]]
    evaluation: str | list[str | None] | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        settings = settings_from("settings", PathIntegralSettings, self.settings)
        require(self, self.step <= settings.steps, "step", f"at most {settings.steps}")
        sound = all(place and all(0 <= n <= _MOST for n in place) for place in self.files.values())
        require(self, sound, "files", "lengths of files")


def free(settings: PathIntegralSettings) -> set[str]:
    """Settings that may change when a run resumes."""
    return FREE if settings.method == "rpmd" else FREE | {"equilibration_steps"}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a restart file holds."""

    facts: Facts
    state: State


def save(
    path: Path,
    polymer: RingPolymer,
    files: Mapping[str, list[int]],
    wall_time: float,
    evaluation: Any,
) -> None:
    """Write the restart file, atomically."""
    plain, arrays = facts_of(polymer.state())
    facts = {
        "version": restart.VERSION,
        "step": polymer.step,
        "settings": asdict(polymer.settings),
        "wall_time_s": wall_time,
        "files": dict(files),
        "evaluation": evaluation,
        **plain,
    }
    restart.write(path, facts, {**arrays, "numbers": polymer.start.numbers})


def load(path: Path, atoms: Atoms, settings: PathIntegralSettings) -> Checkpoint:
    """Read a restart file of a run of these atoms with these settings.

    Raises
    ------
    ValueError
        If it is none, or of another run.
    """
    plain, arrays = restart.read(path)
    with restart.sound(path):
        facts: Facts = made_of(Facts, plain)
        numbers = arrays["numbers"]
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
            raise ValueError("its atomic numbers are none")
        shape = (int(facts.settings["beads"]), 3 * len(numbers))
        for name in ("positions", "momenta"):
            check_array(name, arrays[name], shape)
        key = arrays["key"]
        if key.shape != (_KEY,) or key.dtype != np.uint32:
            raise ValueError("its random state is none")
        state = State(
            arrays["positions"],
            arrays["momenta"],
            key,
            facts.position,
            facts.conserved_energy_eV,
        )
    if not np.array_equal(numbers, atoms.numbers):
        raise ValueError(
            f"the run to resume is of {Atoms(numbers).get_chemical_formula()}, and the structure "
            f"given is {atoms.get_chemical_formula()}, or the same atoms in another order"
        )
    check_same(facts.settings, settings, free=free(settings))
    if settings.steps < facts.step:
        raise ValueError(
            f"steps = {settings.steps}, but the run to resume has already made {facts.step}"
        )
    return Checkpoint(facts, state)


def check_array(name: str, values: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse an array of another shape, or with what is no finite number in it."""
    if values.shape != shape or values.dtype != np.float64 or not np.isfinite(values).all():
        raise ValueError(f"its {name} are not {shape} finite numbers")
