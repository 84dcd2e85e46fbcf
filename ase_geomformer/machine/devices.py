"""Where and in which type to compute, from the words a user writes."""

from __future__ import annotations

import torch

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def list_devices() -> list[str]:
    """Devices of this machine that potentials run on."""
    return ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]


def resolve_device(device: torch.device | str = "auto") -> torch.device:
    """The device of a name; ``auto`` is CUDA where there is one, else the CPU.

    Raises
    ------
    ValueError
        If this machine has no such device; the message lists those it has.
    """
    here = list_devices()
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if len(here) > 1 else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        found = None
    if found is None or f"{found.type}:{found.index or 0}" not in {"cpu:0", *here}:
        raise ValueError(
            f"there is no device {str(device)!r} to compute on; this machine has "
            f"{', '.join(here)}, and 'auto' picks the best of them"
        )
    return found


def resolve_dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    """The type of a name; None stands for a potential's own type.

    Raises
    ------
    ValueError
        If it is neither float32 nor float64.
    """
    found = DTYPES.get(dtype, dtype) if isinstance(dtype, str) else dtype
    if found is not None and found not in DTYPES.values():
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, or None, not {dtype!r}")
    return found  # type: ignore[return-value]
