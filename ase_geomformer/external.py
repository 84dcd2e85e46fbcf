"""Calculators of other packages, by name: ``emt``, ``tblite``, ``package.module:factory``."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import packages_distributions, version
from typing import TYPE_CHECKING, Any

from ase_geomformer.settings.shown import Shown

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

# Options that run code of other packages, or of other machines: a file alone does not choose them.
RUN_CODE = ("calculator", "teacher", "cluster")
# Attribute of a calculator that tells how it was made.
_ORIGIN = "_ase_geomformer_origin"


@dataclass(frozen=True)
class Known:
    """A calculator that ASE's registry does not name.

    Attributes
    ----------
    factory : str
        Its dotted path.
    install : str
        What ``pip install`` takes.
    """

    factory: str
    install: str


KNOWN = {
    "chgnet": Known("chgnet.model.dynamics:CHGNetCalculator", "chgnet"),
    "mace_mp": Known("mace.calculators:mace_mp", "mace-torch"),
    "mace_off": Known("mace.calculators:mace_off", "mace-torch"),
    "sevennet": Known("sevenn.calculator:SevenNetCalculator", "sevenn"),
    "tblite": Known("tblite.ase:TBLite", "tblite"),
}


@dataclass(frozen=True, kw_only=True)
class SourceSettings(Shown):
    """What a verb evaluates: a potential of this package, or any other ASE calculator.

    Attributes
    ----------
    potential : str or list of str, optional
        Name or path; several for a committee.
    calculator : str, optional
        Name as in :func:`calculator_by_name`.
    calculator_args : dict, optional
        Its arguments.
    """

    potential: str | list[str] | None = None
    calculator: str | None = None
    calculator_args: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.potential is None) == (self.calculator is None):
            found = "neither" if self.potential is None else "both"
            raise ValueError(
                "give either --potential NAME or, for a calculator of another package, "
                f"--calculator NAME, not {found}"
            )
        if self.calculator_args is not None and self.calculator is None:
            raise ValueError("calculator_args are for a calculator, and there is a potential")


def calculator_by_name(name: str, arguments: Mapping[str, Any] | None = None) -> Calculator:
    """An ASE calculator of any package.

    Parameters
    ----------
    name : str
        What ASE's registry knows (``emt``, ``lj``, ``gpaw``, ...), a key of :data:`KNOWN`, or the
        dotted path ``package.module:factory`` of a class or function that makes a calculator.
    arguments : mapping, optional
        Keywords for it.

    Returns
    -------
    ASE calculator

    Raises
    ------
    ValueError
        If there is no calculator of this name, it does not take the arguments, or what was made is
        not a calculator.
    ImportError
        If its package is not installed; the message says how to install it.
    """
    arguments = dict(arguments or {})
    factory = _factory(name)
    try:
        made = factory(**arguments)
    except ImportError as error:  # of packages that are loaded only when needed
        raise ImportError(f"the calculator {name!r} cannot be loaded: {error}") from error
    except Exception as error:  # each package has its own
        raise ValueError(
            f"the calculator {name!r} cannot be made with {arguments}: "
            f"{type(error).__name__}: {error}; its arguments are {_signature(factory)}"
        ) from error
    if not hasattr(made, "get_property") or not hasattr(made, "implemented_properties"):
        raise ValueError(
            f"{name!r} gives an object of type {type(made).__name__}, not an ASE calculator"
        )
    calculator: Calculator = made
    setattr(calculator, _ORIGIN, {"name": name, "arguments": arguments})
    return calculator


def origin(calculator: Any) -> dict[str, Any]:
    """What made a calculator of another package: name, arguments, package and version.

    Name and arguments are known where :func:`calculator_by_name` made it.
    """
    package = type(calculator).__module__.partition(".")[0]
    return {**getattr(calculator, _ORIGIN, {}), "package": dict(_versions_of(package))}


@cache
def _versions_of(package: str) -> dict[str, str]:
    """Versions of the distributions that have a package; all that are installed are read."""
    distributions = packages_distributions().get(package, [])
    return {name: version(name) for name in dict.fromkeys(distributions)}


def _factory(name: str) -> Callable[..., Any]:
    """The class or function that makes the calculator."""
    from ase.calculators.calculator import get_calculator_class
    from ase.calculators.names import names

    if ":" in name:
        module, _, path = name.partition(":")
        package = module.partition(".")[0]
        return _attribute(name, module, path, f"install the package that has {package}")
    key = name.lower()
    if key in KNOWN:
        module, _, path = KNOWN[key].factory.partition(":")
        return _attribute(name, module, path, f"pip install {KNOWN[key].install}")
    if key not in names:
        known = sorted({*names, *KNOWN})
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        raise ValueError(
            f"there is no calculator {name!r}; {hint} A calculator of any other package is given "
            "as package.module:factory"
        )
    try:
        found: Callable[..., Any] = get_calculator_class(key)
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"the calculator {name!r} of ASE's registry cannot be loaded: {error}; install its "
            "package"
        ) from error
    return found


def _attribute(name: str, module: str, path: str, install: str) -> Callable[..., Any]:
    """What a dotted path names."""
    try:
        found: Any = import_module(module)
    except ImportError as error:
        raise ImportError(f"the calculator {name!r} cannot be loaded: {error}; {install}") from None
    except ValueError:  # an empty name
        raise ValueError(f"{name!r} is not of the form package.module:factory") from None
    for part in path.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"the calculator {name!r}: {module} has no {path}{hint}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"the calculator {name!r}: {path} of {module} cannot be called")
    factory: Callable[..., Any] = found
    return factory


def _signature(factory: Callable[..., Any]) -> str:
    try:
        return str(inspect.signature(factory))
    except (TypeError, ValueError):  # of compiled code
        return "not known"
