"""Machine-learned potentials for ASE: from atoms to molecular dynamics.

The public names are loaded on first use, so that importing the package costs nothing and
commands that need no tensors never load torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ase_geomformer.calculator import PotentialCalculator
    from ase_geomformer.evaluate import evaluate_many
    from ase_geomformer.external import calculator_by_name
    from ase_geomformer.graph.atom_graph import AtomGraph
    from ase_geomformer.learning.run import learn
    from ase_geomformer.learning.settings import LearnSettings
    from ase_geomformer.potential import Potential
    from ase_geomformer.registry import list_potentials, load_potential
    from ase_geomformer.trust.run import selftest

    __version__: str

__all__ = [
    "AtomGraph",
    "LearnSettings",
    "Potential",
    "PotentialCalculator",
    "__version__",
    "calculator_by_name",
    "evaluate_many",
    "learn",
    "list_potentials",
    "load_potential",
    "selftest",
]

_HOME = {
    "AtomGraph": "graph.atom_graph",
    "LearnSettings": "learning.settings",
    "Potential": "potential",
    "PotentialCalculator": "calculator",
    "calculator_by_name": "external",
    "evaluate_many": "evaluate",
    "learn": "learning.run",
    "list_potentials": "registry",
    "load_potential": "registry",
    "selftest": "trust.run",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from ase_geomformer.machine.version import package_version

        value: Any = package_version()
    elif name in _HOME:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
