"""What a restart file must hold to be resumed: checked before anything is made of it.

Restart files come from disks, mails and other machines. A fact of another type, a negative step or
an array of another shape would otherwise resume in silence, as another run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

import numpy as np

from ase_geomformer.md.settings import MDSettings
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.plain import check_plain, settings_from
from ase_geomformer.settings.ranges import ranged

# Beyond this, lengths of files and numbers of steps are not numbers of anything.
_MOST = 2**62
_ELEMENTS = 118
_NUMBERS_OF_ATOMS = ("numbers", "positions", "momenta", "cell", "pbc")


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Where the files of a run ended.

    Attributes
    ----------
    log : int
        Bytes.
    trajectory : list of int
        As the format gives it, see :mod:`ase_geomformer.md.trajectories`.
    harvest : list of int
        Bytes, frames, and step of the last frame, -1 without one.
    """

    log: int = ranged(MISSING, 0, _MOST)
    trajectory: list[int] = ranged(MISSING, 0, _MOST)
    harvest: list[int] = field(default_factory=lambda: [0, 0, -1])

    def __post_init__(self) -> None:
        check_settings(self)
        require(self, len(self.trajectory) > 0, "trajectory", "a list with a length")
        met = len(self.harvest) == 3 and 0 <= self.harvest[0] <= _MOST
        if met:
            _, frames, last = self.harvest
            met = (frames == 0 and last == -1) or 1 <= frames <= last + 1
        require(self, met, "harvest", "a length, a number of frames and the step of the last")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything in a restart file that is not an array; see :func:`check_facts`.

    Attributes
    ----------
    step : int
    settings : dict
        Of :class:`~ase_geomformer.md.MDSettings`.
    random_state : dict
        Of NumPy's PCG64.
    degrees_of_freedom : int
    initial_velocities : str
    conserved_offset_eV, wall_time_s : float
    info : str
        The structure's ``info``, as ASE writes JSON.
    constraints : list of dict
    files : dict
        Of :class:`Lengths`.
    exchanged_temperature_K : float or None
    exchanges : bool
        Files from before there were exchanges lack it.
    evaluation : str, list of str or None
        How the calculator evaluated.
    """

    step: int = ranged(MISSING, 0, 10**12)
    settings: dict[str, Any]
    random_state: dict[str, Any]
    degrees_of_freedom: int = ranged(MISSING, 1, _MOST)
    initial_velocities: Literal["drawn", "structure"]
    conserved_offset_eV: float = ranged(MISSING, -1e12, 1e12, "eV")
    wall_time_s: float = ranged(MISSING, 0, 1e12)
    info: str
    constraints: list[dict[str, Any]]
    files: Lengths
    exchanged_temperature_K: float | None = ranged(None, 0, 1e6, "K", above=True)
    exchanges: bool = False
    evaluation: str | list[str | None] | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        settings = settings_from("settings", MDSettings, self.settings)
        require(self, self.step <= settings.steps, "step", f"at most {settings.steps}")
        if self.step:
            last = self.files.harvest[2]
            require(self, last <= self.step, "files", "of frames up to the step")
        if not self.exchanges:
            lone = self.exchanged_temperature_K is None
            require(self, lone, "exchanged_temperature_K", "null without exchanges")
            if settings.temperature_end_K is None:
                kept = self.conserved_offset_eV == 0
                require(self, kept, "conserved_offset_eV", "zero at one temperature")
        check_random_state(self.random_state, settings.seed)


def check_facts(facts: Any) -> None:
    """Refuse facts of a run that are missing, of another type or out of range.

    Raises
    ------
    ValueError
        With the name of the fact.
    """
    made_of(Facts, facts)


def made_of(kind: type, values: Any, place: str = "") -> Any:
    """A dataclass of plain values, with its nested ones; values it does not know are left out.

    Raises
    ------
    ValueError
        If a value is missing, of another type or out of range.
    """
    check_plain(values, kind, place)
    lacking = [name for name in required(kind) if name not in values]
    if lacking:
        raise ValueError(f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing")
    given = {entry.name: values[entry.name] for entry in fields(kind) if entry.name in values}
    if kind is Facts:
        given["files"] = made_of(Lengths, given["files"])
    return kind(**given)


def required(kind: type) -> list[str]:
    """The fields of a dataclass that have no default."""
    return [e.name for e in fields(kind) if e.default is MISSING and e.default_factory is MISSING]


def check_random_state(state: Mapping[str, Any], seed: int | list[int]) -> None:
    """Refuse a state that is not one of NumPy's generator with this seed."""
    generator: Any = np.random.PCG64(seed)
    stream = generator.state["state"]["inc"]  # which no draw changes
    try:
        generator.state = dict(state)
        same = generator.state == state and state["state"]["inc"] == stream
    except (TypeError, ValueError, KeyError, OverflowError):
        same = False
    if not same:
        raise ValueError(f"random_state is not a state of the generator PCG64 with seed {seed}")


def check_arrays(arrays: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Refuse arrays of a structure, or of results, that are missing, misshapen or not finite.

    Parameters
    ----------
    arrays : mapping
        As in :class:`~ase_geomformer.md.restart.Checkpoint`.

    Raises
    ------
    ValueError
        With the name of the array.
    """
    atoms = arrays["atoms"]
    lacking = [name for name in _NUMBERS_OF_ATOMS if name not in atoms]
    if lacking:
        raise ValueError(f"the arrays {', '.join(lacking)} of the atoms are missing")
    numbers = atoms["numbers"]
    check_array("numbers", numbers, (numbers.size,), "i")
    if not numbers.size or numbers.min() < 0 or numbers.max() > _ELEMENTS:
        raise ValueError(f"the array numbers must be of elements, 0 to {_ELEMENTS}")
    count = len(numbers)
    check_array("positions", atoms["positions"], (count, 3), "f")
    check_array("momenta", atoms["momenta"], (count, 3), "f")
    check_array("cell", atoms["cell"], (3, 3), "f")
    check_array("pbc", atoms["pbc"], (3,), "b")
    for name in atoms.keys() - set(_NUMBERS_OF_ATOMS):
        check_array(name, atoms[name], (count, *atoms[name].shape[1:]), "fiubU")
    if "masses" in atoms:
        check_array("masses", atoms["masses"], (count,), "f")
        if (atoms["masses"] <= 0).any():
            raise ValueError("the array masses must be positive")
    for name, values in arrays["results"].items():
        check_array(name, values, values.shape, "fiub")
    guards = {"conserved_energy_eV": ((), "f"), "had_neighbour": ((count,), "b")}
    for name, values in arrays["guards"].items():
        if name not in guards:
            raise ValueError(f"the guards have no array {name}")
        check_array(name, values, *guards[name])


def check_results(found: Mapping[str, Any], saved: Mapping[str, np.ndarray]) -> None:
    """Refuse saved results of another shape than the calculator finds."""
    for name in saved.keys() & found.keys():
        check_array(name, saved[name], np.shape(found[name]), "fiub")


def check_array(name: str, values: np.ndarray, shape: tuple[int, ...], kinds: str) -> None:
    """Refuse an array of another shape or kind of dtype, or with numbers that are not finite.

    Where only floats are allowed, they are those of double precision, which a run goes on from.
    """
    kept = values.dtype.kind in kinds and (kinds != "f" or values.dtype == np.float64)
    if values.shape != shape or not kept:
        raise ValueError(
            f"the array {name} is of shape {values.shape} and dtype {values.dtype}, not of shape "
            f"{shape} and kind {' or '.join(kinds)}"
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"the array {name} is not finite")
