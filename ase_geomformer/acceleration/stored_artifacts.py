"""Compiled code that is made once for a potential and machine, and loaded ever after."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ase_geomformer.acceleration import identity
from ase_geomformer.acceleration.artifact import Artifact, compiled_properties
from ase_geomformer.acceleration.threads import compiling
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.machine.cache import Cache
from ase_geomformer.potential import Potential

logger = logging.getLogger(__name__)

FILE = "potential.so"
# Seconds of one core: what compiling takes, at most, and what a plain evaluation takes, at least,
# with one atom and for each further one. Compiled code takes half of that or less.
COMPILING, FIRST_ATOM, FURTHER_ATOM = 180.0, 0.01, 0.0003
SAVED = 0.5
Tell = Callable[[str], None]


class ArtifactError(RuntimeError):
    """There can be no compiled code of a potential here."""


def can_compile_ahead(potential: Potential) -> bool:
    """Whether code of a potential can be of any size, and loaded by later processes.

    On a GPU it has not been tried.
    """
    return potential.device.type == "cpu"


def artifact_key(potential: Potential) -> str:
    """Of weights, settings, tables and dtype, this package's code, torch, and the CPU.

    The C++ compiler is no part of it: code that was compared with the potential stays right where
    there is another compiler, or none, as on the nodes of a cluster.
    """
    return identity.fingerprint(
        "artifact",
        identity.of_potential(potential),
        identity.of_tables(potential),
        str(potential.dtype),
        compiled_properties(potential),
        identity.of_sources(),
        identity.of_machine(),
    )


def find_artifact(potential: Potential, cache: Cache | None = None) -> Artifact | None:
    """The compiled code of a potential, if it is in the cache; damaged code is not used.

    Where the cache belongs to others, or the code cannot be loaded, there is a warning.
    """
    cache = cache or Cache()
    if not cache.folder.exists():
        return None
    key = artifact_key(potential)
    try:
        entry = cache.find(key)
        return None if entry is None else Artifact(entry.folder / FILE, potential, key)
    except (OSError, RuntimeError) as error:
        warnings.warn(
            f"compiled code is not used, and the potential is evaluated without it, slower: "
            f"{_first_line(error)}",
            stacklevel=2,
        )
        return None


def make_artifact(potential: Potential, tell: Tell, cache: Cache | None = None) -> Artifact:
    """The compiled code of a potential, from the cache, or compiled now and put there.

    Parameters
    ----------
    potential : Potential
    tell : callable
        Is given a line before and after compiling.
    cache : Cache, optional

    Raises
    ------
    ArtifactError
        If that is not possible here; the message says why.
    """
    cache = cache or Cache()
    found = find_artifact(potential, cache)
    if found is not None:
        return found
    name = potential.card.name if potential.card else potential.architecture.name
    key = artifact_key(potential)
    try:
        with cache.locked(key) as mine:
            if not mine:
                raise ArtifactError("another process is compiling it now")
            found = find_artifact(potential, cache)  # made since
            if found is not None:
                return found
            _check_compiler()
            tell(f"compiling {name} for this machine, once; it takes one to three minutes")
            start = time.perf_counter()
            about = {"kind": "compiled code", "potential": name, "dtype": str(potential.dtype)[6:]}
            about |= {"torch": torch.__version__, "cpu": identity.of_machine()[1]}
            from ase_geomformer.acceleration.build import build

            with compiling():
                entry = cache.store(key, about, lambda folder: build(potential, folder / FILE))
            tell(f"compiled {name} in {time.perf_counter() - start:.0f} s")
            return Artifact(entry.folder / FILE, potential, key)
    except ArtifactError:
        raise
    except Exception as error:  # of the system, the cache, or anything within torch's compiler
        logger.debug("compilation failed", exc_info=error)
        raise ArtifactError(_first_line(error)) from error


def worth_compiling(evaluations: float, num_atoms: float) -> bool:
    """Whether so many evaluations of so many atoms save more time than compiling takes."""
    return SAVED * evaluations * (FIRST_ATOM + FURTHER_ATOM * num_atoms) > COMPILING


class CompiledAhead:
    """A potential that is compiled at its first evaluation, unless it was before.

    Where it cannot be, it warns once and evaluates the potential as it is. What it does at the
    first evaluation it does ever after. Copies, also through pickle, look for it again.

    Parameters
    ----------
    potential : Potential
        On a CPU. Must not be changed afterwards.
    """

    def __init__(self, potential: Potential) -> None:
        self.potential = potential
        self._function: Artifact | Potential | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"potential": self.potential}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["potential"])  # type: ignore[misc]

    def ready(self, tell: Tell | None = None) -> Artifact | Potential:
        """What evaluates the potential; compiles it if that has not been tried yet.

        Parameters
        ----------
        tell : callable, optional
            As in :func:`make_artifact`; lines go to the standard error when left out.
        """
        if self._function is None:
            try:
                self._function = make_artifact(self.potential, tell or _to_stderr)
            except ArtifactError as error:
                warnings.warn(
                    f"the potential is not compiled, and evaluated as it is, slower: {error}",
                    stacklevel=2,
                )
                self._function = self.potential
        return self._function

    def __call__(
        self, graph: AtomGraph, properties: Iterable[str] = ("energy", "forces")
    ) -> dict[str, Tensor]:
        """Evaluate a graph; arguments and results are those of :meth:`Potential.forward`."""
        function: Callable[..., dict[str, Tensor]] = self.ready()
        return function(graph, tuple(properties))


def _check_compiler() -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise ArtifactError("no C++ compiler was found; install g++") from error


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"ase-geomformer: {line}\n")
    sys.stderr.flush()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
