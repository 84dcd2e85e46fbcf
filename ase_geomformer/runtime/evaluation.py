"""How a run is evaluated: compiled first where it is long, and resumed as it was begun."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from ase import Atoms

from ase_geomformer.acceleration import can_compile_ahead, worth_compiling
from ase_geomformer.physics import boundaries_of
from ase_geomformer.runs.provenance import evaluation
from ase_geomformer.runtime.prepared import PreparedPotential

Change = Callable[[PreparedPotential], PreparedPotential]
T = TypeVar("T")


@runtime_checkable
class Adaptable(Protocol):
    """What evaluates by prepared potentials: calculators, committees, evaluators."""

    def adapted(self, change: Change) -> Any:
        """The same with its prepared potentials changed, or itself if none of them is."""


def compile_if_long(source: T, structures: Sequence[Atoms], evaluations: float) -> T:
    """Compile potentials now if a run is predicted to save more time than compiling takes.

    That is for runs that nobody watches begin, such as those of the command line: they announce on
    the standard error that they compile. Nothing is done on GPUs, where ``compile`` is not
    ``"auto"``, or the compiled code is there.

    Parameters
    ----------
    source : calculator, committee or evaluator
        One that is not ours is returned as it is.
    structures : sequence of ase.Atoms
        What is evaluated together.
    evaluations : float
        How often.
    """
    num_atoms = sum(map(len, structures))
    if not isinstance(source, Adaptable) or not worth_compiling(evaluations, num_atoms):
        return source
    boundaries = {boundaries_of(atoms) for atoms in structures}

    def change(prepared: PreparedPotential) -> PreparedPotential:
        fitting = [prepared.fitting(one) for one in boundaries]
        if (
            prepared.settings.compile != "auto"
            or not all(can_compile_ahead(one.potential) for one in fitting)
            or all(one.is_compiled for one in fitting)
        ):
            return prepared
        compiled = prepared.with_settings(compile=True)
        for one in boundaries:
            compiled.fitting(one).ready()
        return compiled

    found: T = source.adapted(change)
    return found


def evaluation_of(source: Any, atoms: Atoms) -> str | list[str | None] | None:
    """How a calculator, committee or evaluator evaluates a structure; None if it is not ours."""
    return evaluation(getattr(source, "calculator", source), atoms)


def as_before(source: T, atoms: Atoms, how: Any) -> T:
    """Evaluate plainly, or by compiled code, as a run was evaluated that is resumed now.

    Warns where that is impossible, because settings say otherwise or the code is not there.

    Parameters
    ----------
    source : calculator, committee or evaluator
    atoms : ase.Atoms
        A structure of the run.
    how : str, list or None
        What :func:`evaluation_of` gave then; None if that is not known.
    """
    now = evaluation_of(source, atoms)
    if how is None or now == how:
        return source
    if isinstance(source, Adaptable):
        members = how if isinstance(how, list) else [how]
        each = iter([one for one in members if one is not None])
        source = source.adapted(lambda it: it.evaluating(str(next(each, "plain")), atoms))
        now = evaluation_of(source, atoms)
    if now != how:
        warnings.warn(
            f"evaluation was {how!r} and is {now!r} from here on: the resumed run agrees to "
            "rounding, not to the bit, with one that was never interrupted",
            stacklevel=3,
        )
    return source
