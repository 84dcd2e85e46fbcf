"""SO3LR's parameters under the names of its PyTorch port, brought to those of the original.

The port (So3krates-torch, MIT licence) keeps kernels as (out, in), tables by element as linear
maps from one-hot vectors, without a row for Z = 0, and adds the mean energy per atom of the
training data to the energy offsets. Its settings are attributes of the module it saves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ase_geomformer.convert.torch_archive import SavedModule

Origin = tuple[str, Callable[[np.ndarray], np.ndarray]]

_ENERGY = "params.observables_0"
_CHARGES = f"{_ENERGY}.electrostatic_energy.partial_charges"
_HIRSHFELD = "params.observables_2"
_SHIFTS = f"{_ENERGY}.energy_offset"
_MATRICES = {"Wq1": "q_inv", "Wk1": "k_inv", "Wv1": "v_inv", "Wq2": "q_ev", "Wk2": "k_ev"}
# The port has one of these and the original none.
_MARK = "atomic_energy_output_block.energy_shifts"
# The packages that a saved module of the port names classes of; they are not imported.
PORT_PACKAGES = ("torch.nn.modules", "so3krates_torch")
PORT_CLASS = "so3krates_torch.modules.models.SO3LR"
# Mean energy per atom of SO3LR's training data, eV.
MEAN_ENERGY = -163.6181213551537
# The original's names of settings, and the port's where it has others.
_SETTINGS = {
    "cutoff": "r_max",
    "cutoff_fn": "cutoff_fn_name",
    "cutoff_lr": "r_max_lr",
    "activation_fn": "activation_fn_name",
    "energy_activation_fn": "energy_activation_fn_name",
    **{
        name: name
        for name in (
            "degrees",
            "dispersion_energy_bool",
            "dispersion_energy_scale",
            "electrostatic_energy_bool",
            "electrostatic_energy_scale",
            "energy_learn_atomic_type_scales",
            "energy_learn_atomic_type_shifts",
            "energy_regression_dim",
            "layer_normalization_1",
            "layer_normalization_2",
            "message_normalization",
            "num_features",
            "num_heads",
            "num_layers",
            "num_radial_basis_fn",
            "qk_non_linearity",
            "radial_basis_fn",
            "residual_mlp_1",
            "residual_mlp_2",
            "use_charge_embed",
            "use_spin_embed",
            "zbl_repulsion_bool",
        )
    },
}


def hyperparameters_of(module: SavedModule) -> dict[str, dict[str, Any]]:
    """The content of ``hyperparameters.json`` from the attributes of a saved module.

    Raises
    ------
    ValueError
        If it is another module, or a setting is missing.
    """
    if module.kind != PORT_CLASS:
        raise ValueError(f"it holds a {module.kind}, where a {PORT_CLASS} is right")
    wanted = {*_SETTINGS.values(), "avg_num_neighbors"}
    missing = sorted(wanted - set(module.values))
    if missing:
        raise ValueError(f"its module lacks {len(missing)} settings, first {missing[0]!r}")
    model = {ours: module.values[theirs] for ours, theirs in _SETTINGS.items()}
    shifts = {str(number): MEAN_ENERGY for number in range(119)}
    neighbors = module.values["avg_num_neighbors"]
    return {"model": model, "data": {"avg_num_neighbors": neighbors, "energy_shifts": shifts}}


def is_torch(weights: Mapping[str, np.ndarray]) -> bool:
    """Whether the parameters have the names of the port."""
    return _MARK in weights


def flax_from_torch(
    weights: Mapping[str, np.ndarray], num_layers: int, mean_energies: np.ndarray
) -> dict[str, np.ndarray]:
    """The parameters under the names and in the shapes of the original.

    Parameters
    ----------
    weights : mapping
        Arrays by the names of the port's state dict.
    num_layers : int
    mean_energies : ndarray, shape (119,)
        What the port added to the energy offsets, by atomic number, eV.

    Raises
    ------
    ValueError
        If a parameter is missing.
    """
    origins = _origins(num_layers)
    missing = sorted({name for name, _ in origins.values()} - set(weights))
    if missing:
        raise ValueError(f"the checkpoint lacks {len(missing)} parameters, first {missing[0]!r}")
    arrays = {ours: change(np.asarray(weights[name])) for ours, (name, change) in origins.items()}
    # Rounded as the port rounds them, so that offsets of zero come back as zeros.
    arrays[_SHIFTS] = arrays[_SHIFTS] - mean_energies.astype(arrays[_SHIFTS].dtype)
    arrays[_SHIFTS][0] = 0.0
    return arrays


def _origins(num_layers: int) -> dict[str, Origin]:
    """Where each parameter of the original comes from, and what is to be done with it."""
    origins: dict[str, Origin] = {
        "params.feature_embeddings_0.Embed_0.embedding": (
            "inv_feature_embedding.embedding.weight",
            _table,
        ),
        f"{_ENERGY}.atomic_scales": (
            "atomic_energy_output_block.energy_scales.weight",
            lambda array: _from_zero(array[0]),
        ),
        _SHIFTS: (_MARK, _from_zero),
        f"{_CHARGES}.Embed_0.embedding": (
            "partial_charges_output_block.atomic_embedding.weight",
            _same,
        ),
        f"{_HIRSHFELD}.Embed_0.embedding": (
            "hirshfeld_output_block.v_shift_embedding.weight",
            _same,
        ),
        f"{_HIRSHFELD}.Embed_1.embedding": ("hirshfeld_output_block.q_embedding.weight", _same),
        **_electrons("charge_embedding", 1),
        **_electrons("spin_embedding", 2),
        **_linear(f"{_ENERGY}.energy_dense_regression", "atomic_energy_output_block.layers.0"),
        **_linear(f"{_ENERGY}.energy_dense_final", "atomic_energy_output_block.final_layer"),
        **_head(
            f"{_CHARGES}.charge_dense",
            "partial_charges_output_block.transform_inv_features",
            "_vec",
        ),
        **_head(
            f"{_HIRSHFELD}.hirshfeld_ratios_dense", "hirshfeld_output_block.transform_features"
        ),
    }
    for name in ("a1", "a2", "a3", "a4", "c1", "c2", "c3", "c4", "p", "d"):
        origins[f"{_ENERGY}.zbl_repulsion.{name}"] = (f"zbl_repulsion.{name}_raw", _same)
    for layer in range(num_layers):
        origins |= _layer(f"params.layers_{layer}", f"euclidean_transformers.{layer}")
    return origins


def _layer(ours: str, theirs: str) -> dict[str, Origin]:
    attention = f"{ours}.attention_block"
    origins: dict[str, Origin] = {
        f"{attention}.{matrix}": (f"{theirs}.euclidean_attention_block.W_{name}", _transposed)
        for matrix, name in _MATRICES.items()
    }
    for number, part in enumerate(("inv", "ev"), start=1):
        for kind, network in (("radial", "mlp_rbf"), ("spherical", "mlp_ev")):
            root = f"{theirs}.filter_net_{part}.{network}"
            filters = f"{attention}.{kind}_filter{number}_layer"
            origins |= _linear(f"{filters}_1", f"{root}.0")
            origins |= _linear(f"{filters}_2", f"{root}.{network}_layer_1.0")
    origins |= _linear(
        f"{ours}.exchange_block.mlp_layer_2", f"{theirs}.interaction_block.linear_layer"
    )
    origins |= _linear(f"{ours}.res_mlp_1_layer_1", f"{theirs}.mlp_1.1")
    origins |= _linear(f"{ours}.res_mlp_1_layer_2", f"{theirs}.mlp_1.3")
    for number in (1, 2):
        norm = f"{ours}.layer_normalization_{number}"
        origins[f"{norm}.scale"] = (f"{theirs}.layer_norm_inv_{number}.weight", _same)
        origins[f"{norm}.bias"] = (f"{theirs}.layer_norm_inv_{number}.bias", _same)
    return origins


def _electrons(theirs: str, number: int) -> dict[str, Origin]:
    ours = f"params.feature_embeddings_{number}.ChargeSpinEmbedSparse_0"
    return {
        f"{ours}.Embed_0.embedding": (f"{theirs}.Wq.weight", _table),
        f"{ours}.Embed_1.embedding": (f"{theirs}.Wk", _same),
        f"{ours}.Embed_2.embedding": (f"{theirs}.Wv", _same),
        f"{ours}.Residual_0.layers_0.kernel": (f"{theirs}.mlp.1.weight", _transposed),
        f"{ours}.Residual_0.layers_1.kernel": (f"{theirs}.mlp.3.weight", _transposed),
    }


def _head(ours: str, theirs: str, suffix: str = "") -> dict[str, Origin]:
    return _linear(f"{ours}_regression{suffix}", f"{theirs}.0") | _linear(
        f"{ours}_final{suffix}", f"{theirs}.2"
    )


def _linear(ours: str, theirs: str) -> dict[str, Origin]:
    return {
        f"{ours}.kernel": (f"{theirs}.weight", _transposed),
        f"{ours}.bias": (f"{theirs}.bias", _same),
    }


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _transposed(array: np.ndarray) -> np.ndarray:
    return array.swapaxes(-1, -2)


def _from_zero(array: np.ndarray) -> np.ndarray:
    """Rows by element with one of zeros for Z = 0 before them."""
    return np.concatenate([np.zeros_like(array[:1]), array])


def _table(array: np.ndarray) -> np.ndarray:
    """A linear map from one-hot vectors (F, Z) as a table (Z + 1, F)."""
    return _from_zero(array.T)
