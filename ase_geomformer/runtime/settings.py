"""How a potential is evaluated: one class for Python, command line and YAML."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar

from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

T = TypeVar("T", bound=Callable[..., Any])

# What a resumed run may change: results depend on these by rounding at most.
MAY_CHANGE = frozenset({"device", "neighbors", "skin", "compile", "keep_memory", "domain"})


@dataclass(frozen=True, kw_only=True)
class CalculatorSettings(Shown):
    """Settings of the calculator.

    Attributes
    ----------
    device : str
        auto (CUDA where it is available, else the CPU), cpu, or cuda[:N].
    dtype : str
        float32, float64, or auto: the dtype of the potential's weights. Energies are summed in
        float64 in any case.
    neighbors : str
        Backend of the neighbour list: auto, vesin, torch, matscipy, nvalchemi or torch-cluster.
    skin : float
        Skin of the neighbour list in Å: the list is rebuilt only after atoms have moved about
        half of it. Results do not depend on it.
    long_range : str
        How electrostatics and dispersion are summed, for a potential that has them. auto: over all
        pairs of an open structure, by Ewald's method in crystals and slabs, up to the cutoff where
        one direction is periodic; dispersion up to its cutoff in all periodic structures.
        published: as the potential was published or trained.
    long_range_cutoff : float, None or "auto"
        Cutoff of electrostatics and dispersion in Å, whatever the boundaries; null (None) for no
        cutoff, which is possible without periodic boundaries only; auto: as long_range says.
    ewald : bool
        Sum the electrostatics of a crystal over all periodic images by Ewald's method, whatever
        long_range says; needs three periodic directions.
    dispersion : str, optional
        Dispersion correction to add, as METHOD:FUNCTIONAL with the functional that the potential
        was trained on, such as d3bj:pbe; d3bj, d3bjm, d3zero, d3zerom or d4. It is part of energy,
        forces, stress and second derivatives; energies and stresses of single atoms are then not
        available. Refused where the potential has dispersion already. Extra dispersion.
    compile : bool or "auto"
        Evaluate by compiled code, several times as fast. true: compile the potential for this
        machine at the first step, which takes one to three minutes, unless that was done before;
        auto: use compiled code where that was done, without compiling anything; false: evaluate
        without. Results of the two agree to rounding, not to the bit. On a GPU only true compiles,
        anew in each process.
    radial_tables : bool or "auto"
        Read filters of the distance from tables instead of evaluating them, within 1e-6 eV/atom
        and 1e-5 eV/Å; auto: in float32 on a CPU, where the filters are networks.
    domain : str
        What to do about structures that are unlike the potential's training data: warn (once),
        error, or ignore. They are looked at when they are new, and every 100 evaluations.
    keep_memory : bool
        Let the process keep up to 2 GB of freed memory on a CPU, which saves up to half the time
        of hundreds of atoms. Applies to the whole process from the first evaluation on.
    """

    device: str = "auto"
    dtype: Literal["auto", "float32", "float64"] = "auto"
    neighbors: str = "auto"
    skin: float = ranged(0.5, 0, 100, "Å")
    long_range: Literal["auto", "published"] = "auto"
    long_range_cutoff: float | Literal["auto"] | None = ranged("auto", 0, 10000, "Å", above=True)
    ewald: bool = False
    dispersion: str | None = None
    compile: bool | Literal["auto"] = "auto"
    radial_tables: bool | Literal["auto"] = "auto"
    domain: Literal["warn", "error", "ignore"] = "warn"
    keep_memory: bool = True

    def __post_init__(self) -> None:
        # torch.device and torch.dtype are told by their names, without loading torch for it.
        for name in ("device", "dtype"):
            text = str(getattr(self, name)).removeprefix("torch.")
            object.__setattr__(self, name, "auto" if text == "None" else text)
        check_settings(self)

    def updated(self, changes: Mapping[str, Any]) -> CalculatorSettings:
        """These settings with changes; a device or dtype of None changes nothing.

        Raises
        ------
        TypeError
            If there is no such setting.
        ValueError
            If a value is not possible.
        """
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
                raise TypeError(f"unknown keyword {name!r}; {hint}")
        left = {name for name in ("device", "dtype") if changes.get(name) is None}
        made = {name: value for name, value in changes.items() if name not in left}
        return replace(self, **made) if made else self


def takes_settings(target: T) -> T:
    """Show the fields of :class:`CalculatorSettings` where they are taken as keywords.

    Signature and documentation of a function or class that ends in ``**keywords`` name them.
    """
    function: Any = vars(target)["__init__"] if isinstance(target, type) else target
    signature = inspect.signature(function)
    taken = inspect.signature(CalculatorSettings).parameters.values()
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    names = {parameter.name for parameter in own}
    function.__signature__ = signature.replace(
        parameters=[*own, *(parameter for parameter in taken if parameter.name not in names)]
    )
    settings = inspect.cleandoc(CalculatorSettings.__doc__ or "")
    _, _, described = settings.partition("Attributes\n----------\n")
    title = "Other Parameters\n----------------\n"
    target.__doc__ = f"{inspect.cleandoc(target.__doc__ or '')}\n\n{title}{described}"
    return target
