"""Interface of the architectures: from edge vectors to atomic energies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.settings.plain import settings_from

_REGISTRY: dict[str, type[Architecture]] = {}


class Architecture(nn.Module, ABC):
    """Base class of all architectures.

    A subclass names itself and its settings in the class line, ``class So3krates(Architecture,
    name="so3krates", settings=So3kratesSettings)``, which registers it; takes the settings as
    its only argument; and defines ``forward``. It must be invariant under O(3), translations and
    permutations, twice differentiable and C2 as an atom crosses the cutoff;
    :class:`ase_geomformer.testing.ArchitectureSuite` checks it.
    """

    name: ClassVar[str]
    settings_class: ClassVar[type]
    # Whether it evaluates a PairGraph, which holds each pair of neighbours once.
    takes_pairs: ClassVar[bool] = False
    settings: Any

    def __init_subclass__(cls, *, name: str, settings: type) -> None:
        super().__init_subclass__()
        cls.name, cls.settings_class = name, settings
        _REGISTRY[name] = cls

    def __init__(self, settings: Any) -> None:
        super().__init__()
        self.settings = settings

    @property
    def cutoff(self) -> float:
        """Radius in Å within which atoms are joined by edges."""
        return float(self.settings.cutoff)

    @property
    def far_cutoff(self) -> float:
        """Radius in Å of the far pairs it reads: 0 for none, infinite for all of a structure."""
        return 0.0

    @property
    def hops(self) -> int | None:
        """How many cutoffs away atoms matter to an atom's outputs; None for all of a structure.

        Sums over the atoms of a structure, such as that of its charges, do not count. Without a
        number, a structure cannot be divided into domains.
        """
        return None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs of :meth:`forward` with these settings."""
        return ("energies",)

    @property
    def exact_equivariance(self) -> bool:
        """Whether energies are the same in every orientation, but for rounding."""
        return True

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    @abstractmethod
    def forward(self, graph: AtomGraph) -> dict[str, Tensor]:
        """Per-atom outputs of a graph.

        Returns
        -------
        dict
            ``"energies"`` (N,), in units of the potential's energy scale, and what else the
            architecture predicts per atom, such as ``"charges"`` (N,) in e.
        """

    def settings_dict(self) -> dict[str, Any]:
        """The settings as plain values, as the card stores them."""
        return asdict(self.settings)


def architecture_names() -> list[str]:
    """Registered architectures, sorted."""
    return sorted(_REGISTRY)


def architecture_class(name: str) -> type[Architecture]:
    """The architecture registered under a name.

    Raises
    ------
    ValueError
        If there is none; the message lists those that exist.
    """
    if name not in _REGISTRY:
        raise ValueError(
            f"unknown architecture {name!r}; this version knows {', '.join(architecture_names())}"
        )
    return _REGISTRY[name]


def build(name: str, settings: Mapping[str, Any] | None = None) -> Architecture:
    """A freshly initialised architecture in float64.

    Parameters
    ----------
    name : str
        Registered name, such as ``"so3krates"``.
    settings : mapping, optional
        Fields of the architecture's settings class; defaults for those left out.

    Raises
    ------
    ValueError
        If the name or a settings field is unknown, or a value is out of range.
    """
    cls = architecture_class(name)
    return cls(settings_from(name, cls.settings_class, settings or {})).to(torch.float64)
