"""So3krates of the original JAX codes, three generations of them, as potentials."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from ase_geomformer.architectures import (
    Architecture,
    So3krates,
    So3krates2022,
    So3kratesDense,
    build,
)
from ase_geomformer.convert.flax import num_elements, state_of, zbl_state
from ase_geomformer.convert.so3krates_2022 import names_2022, settings_2022, with_our_signs
from ase_geomformer.convert.so3krates_dense import dense_generation_names, dense_settings
from ase_geomformer.convert.so3krates_sparse import sparse_names, sparse_settings, sparse_terms
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential


@dataclass(frozen=True)
class Generation:
    """How to read one of the original codes.

    Attributes
    ----------
    architecture
        Our registered name.
    settings
        From the original's configuration to our settings.
    names
        From our settings to the original name of each of our parameters.
    zbl
        The flag of the ZBL repulsion in the configuration, and the root of its parameters.
    far_terms
        From the original's configuration to the settings of our long-range terms.
    adapt
        What else turns the original's numbers into ours, given settings and state dict.
    """

    architecture: str
    settings: Callable[[Mapping[str, Any]], Any]
    names: Callable[[Any], dict[str, str]]
    zbl: tuple[str, str]
    far_terms: Callable[[Mapping[str, Any]], dict[str, dict[str, Any]]] = lambda config: {}
    adapt: Callable[[Any, dict[str, Tensor]], dict[str, Tensor]] = lambda settings, state: state


GENERATIONS = {
    "sparse": Generation(
        So3krates.name,
        sparse_settings,
        sparse_names,
        zbl=("zbl_repulsion_bool", "params.observables_0.zbl_repulsion"),
        far_terms=sparse_terms,
    ),
    "dense": Generation(
        So3kratesDense.name,
        dense_settings,
        dense_generation_names,
        zbl=("zbl_repulsion", "params.observables_0.ZBLRepulsion_0"),
    ),
    "2022": Generation(
        So3krates2022.name,
        settings_2022,
        names_2022,
        zbl=("zbl_repulsion", "params.observables_0.ZBLRepulsion_0"),
        adapt=with_our_signs,
    ),
}


def so3krates_from_flax(
    config: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    elements: Iterable[str | int] | None = None,
    *,
    generation: str = "sparse",
    rounded_constants: bool = False,
) -> Potential:
    """A potential in float64 from a model of one of the original codes.

    Parameters
    ----------
    config : mapping
        The original model's configuration: constructor arguments of ``"sparse"`` and ``"2022"``,
        keywords of its modules of ``"dense"``.
    weights : mapping
        Arrays by flax path joined with dots, ``params.layers_0.attention_block.Wq1``.
    elements : iterable of str or int, optional
        Elements the model was trained on, which the original does not say; all that its tables
        have a row for by default.
    generation : str
        ``"sparse"`` (mlff v1.0, SO3LR), ``"dense"`` (mlff v0.3, Nat. Commun. 2024) or ``"2022"``
        (mlff v0.1, NeurIPS 2022).
    rounded_constants : bool
        Round to float32 the constants that the dense and the 2022 code hold so even in float64,
        without which energies differ by 1e-9 eV; the sparse code has none of them.

    Raises
    ------
    ValueError
        If the generation is unknown, or a parameter is missing or of the wrong size.
    """
    origin = _generation(generation)
    architecture = architecture_from_flax(
        config, weights, generation=generation, rounded_constants=rounded_constants
    )
    settings = architecture.settings
    flag, root = origin.zbl
    envelope = {"cutoff": settings.cutoff, "cutoff_function": settings.cutoff_function}
    zbl = {"zbl": envelope} if config.get(flag) else {}
    terms = build_terms(zbl | origin.far_terms(config))
    if zbl:
        terms["zbl"].load_state_dict(zbl_state(root, weights))
    if elements is None:
        elements = range(1, num_elements(origin.names(settings), _with_tables(config, weights)))
    return Potential(architecture, elements, terms=terms)


def architecture_from_flax(
    config: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    *,
    generation: str = "sparse",
    rounded_constants: bool = False,
) -> Architecture:
    """The network alone, in float64; parameters as for :func:`so3krates_from_flax`."""
    origin = _generation(generation)
    settings = origin.settings(config)
    if hasattr(settings, "rounded_constants"):
        settings = replace(settings, rounded_constants=rounded_constants)
    architecture = build(origin.architecture, asdict(settings))
    names = origin.names(settings)
    state = state_of(architecture, names, _with_tables(config, weights))
    architecture.load_state_dict(origin.adapt(settings, state))
    return architecture


def _generation(name: str) -> Generation:
    if name not in GENERATIONS:
        raise ValueError(f"generation is {name!r}; choose from {', '.join(GENERATIONS)}")
    return GENERATIONS[name]


def _with_tables(
    config: Mapping[str, Any], weights: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The weights, and numbers of each element that the older codes keep in the configuration."""
    tables = {f"config.{key}": config.get(key) for key in ("per_atom_scale", "per_atom_shift")}
    return dict(weights) | {key: np.array(v) for key, v in tables.items() if v is not None}
