"""Provenance of results: potential, device, versions, seed, command."""

from __future__ import annotations

import platform
import shlex
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ase_geomformer.external import origin

PACKAGES = (
    "ase-geomformer",
    "ase",
    "torch",
    "numpy",
    "scipy",
    "matscipy",
    "vesin",
    "torch-pme",
    "spglib",
    "phonopy",
    "lightning",
    "dftd3",
    "dftd4",
    "stacie",
)


def provenance(calculator: Any, *, seed: int | None = None, atoms: Any = None) -> dict[str, Any]:
    """What made a result: potential, device, dtype, versions, seed and command.

    ``tf32`` tells whether float32 products on a GPU may be rounded to ten bits; ``threads`` is
    what sums on a CPU are shared among.

    Parameters
    ----------
    calculator : ase calculator
        A :class:`~ase_geomformer.calculator.PotentialCalculator` is described in full, any
        other by its class, name and package, and by what made it, see
        :func:`~ase_geomformer.external.origin`.
    seed : int, optional
        Seed of the run's random numbers.
    atoms : ase.Atoms, optional
        A structure that was evaluated; the last of the calculator, if left out.
    """
    return {
        "potential": _potential(calculator, atoms),
        "device": calculator.parameters.get("device"),
        "dtype": calculator.parameters.get("dtype"),
        **_arithmetic(),
        "seed": seed,
        "versions": {"python": platform.python_version(), **_versions()},
        "command": shlex.join(sys.argv),
    }


def provenance_of_files(source: str, made: Any) -> dict[str, Any]:
    """What made a result that is read from the files of another run, without a potential.

    Parameters
    ----------
    source : str
        Where the files are.
    made : mapping or None
        Provenance of that run, if it is known.
    """
    return {
        "source": source,
        "source_provenance": made,
        "versions": {"python": platform.python_version(), **_versions()},
        "command": shlex.join(sys.argv),
    }


def evaluation(calculator: Any, atoms: Any = None) -> str | list[str | None] | None:
    """How a calculator of ours evaluates a structure, plain or by compiled code.

    Where this is the same, results of the same structure are the same to the bit.

    Parameters
    ----------
    calculator : ase calculator
    atoms : ase.Atoms, optional
        The structure that it evaluated last, if left out.
    """
    atoms = getattr(calculator, "atoms", None) if atoms is None else atoms
    known = getattr(calculator, "evaluation_of", None)
    return None if known is None or atoms is None else known(atoms)


def _arithmetic() -> dict[str, Any]:
    """How torch computes; None where a run with another calculator has not loaded it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return dict.fromkeys(("tf32", "deterministic", "threads"))
    return {
        "tf32": torch.get_float32_matmul_precision() != "highest",
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
    }


def _potential(calculator: Any, atoms: Any) -> dict[str, Any]:
    potential = getattr(calculator, "potential", None)
    card = getattr(potential, "card", None)
    members = calculator.parameters.get("members")  # of a committee
    how = evaluation(calculator, atoms)
    correction = calculator.parameters.get("dispersion")
    return {
        "name": card.name if card else getattr(calculator, "name", None),
        "sha256": card.sha256 if card else None,
        "calculator": type(calculator).__name__,
        **({"made_by": origin(calculator)} if potential is None and not members else {}),
        **({} if potential is None else {"conservative": potential.conservative}),
        **({} if how is None else {"evaluation": how}),
        **({"members": members} if members else {}),
        **({} if correction is None else {"dispersion": correction}),
    }


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
