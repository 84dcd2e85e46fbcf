"""The checkpoint of a training to resume, checked before Lightning reads it.

It is an archive of ``torch.save``: a pickle, which is a program, and the numbers of each tensor.
Torch reads it with ``weights_only``, which calls nothing but what makes tensors and plain data.
What it costs is checked first, see :mod:`ase_geomformer.machine.bounded`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from ase_geomformer.convert.restricted_pickle import check_program
from ase_geomformer.machine.bounded import ARRAYS, check_regular

# The program takes about a hundred bytes per tensor.
PROGRAM_BYTES = 2**24
# Far more steps than anyone makes.
MOST_STEPS = 10**15
# Lightning's own entries, and their types.
_ENTRIES = {
    "state_dict": dict, "optimizer_states": list, "lr_schedulers": list, "callbacks": dict,
    "loops": dict, "global_step": int, "epoch": int,
}  # fmt: skip


def check_checkpoint(path: Path) -> None:
    """Refuse a checkpoint that is none, or costs more memory than its size.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or was changed; nothing of it has run.
    """
    try:
        size = check_regular(path)
        _check_archive(path, size)
        # Its program has been checked, and calls nothing but what makes tensors.
        content = torch.load(  # noqa: TID251
            path, map_location="cpu", weights_only=True, mmap=True
        )
        _check_content(content)
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile, pickle and torch each have their own
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValueError(
            f"{path} is not a checkpoint of a training that can be resumed: {reason}"
        ) from error


def _check_archive(path: Path, size: int) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > ARRAYS:
            raise ValueError(f"it has {len(entries)} entries, more than {ARRAYS}")
        total = sum(entry.file_size for entry in entries)
        if total > size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError(f"it is {size} bytes that unfold to {total:.3g}")
        programs = [entry for entry in entries if entry.filename.endswith(".pkl")]
        for entry in programs:
            if entry.file_size > PROGRAM_BYTES:
                raise ValueError(f"its {entry.filename} takes {entry.file_size} bytes")
            check_program(BytesIO(archive.read(entry)))


def _check_content(content: Any) -> None:
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not a mapping")
    for name, kind in _ENTRIES.items():
        value = content.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"its {name} is {type(value).__name__}, not {kind.__name__}")
    if "fit_loop" not in content["loops"] or not content["optimizer_states"]:
        raise ValueError("it has no state of the training loop or of the optimizer")
    for name, value in [
        *content["callbacks"].items(), *content["loops"].items(),
        *enumerate(content["optimizer_states"]), *enumerate(content["lr_schedulers"]),
    ]:  # fmt: skip
        if not isinstance(value, dict):
            raise ValueError(f"its state of {str(name)[:60]} is {type(value).__name__}, not dict")
    for name, value in _leaves(content):
        if isinstance(value, torch.Tensor):
            wanted = value.numel() * value.element_size()
            if wanted > value.untyped_storage().nbytes():
                raise ValueError(f"its tensor {name} claims {wanted:.3g} bytes")
    for name, value in _leaves({name: content[name] for name in ("loops", "global_step", "epoch")}):
        if isinstance(value, float | str) or (
            isinstance(value, int) and not 0 <= value <= MOST_STEPS
        ):
            raise ValueError(f"its {name} is {str(value)[:60]}, not a number of steps")


def _leaves(content: Any) -> Iterator[tuple[str, Any]]:
    """What is no mapping or list, by its place; each mapping and list once."""
    waiting, seen = [("", content)], set()
    while waiting:
        name, value = waiting.pop()
        if not isinstance(value, dict | list | tuple):
            yield name, value
        elif id(value) not in seen:
            seen.add(id(value))
            items = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [(f"{name}.{key}".lstrip(".")[:200], entry) for key, entry in items]
