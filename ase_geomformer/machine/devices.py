"""Devices and dtypes by name."""

from __future__ import annotations

import torch

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def list_devices() -> list[str]:
    """Devices that are available on this machine."""
    return ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]


def resolve_device(device: torch.device | str = "auto") -> torch.device:
    """The device of a name; ``auto`` is CUDA where there is one, else the CPU.

    Raises
    ------
    ValueError
        If it is not available on this machine; the message lists the devices that are.
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
            f"device {str(device)!r} is not available on this machine; choose from "
            f"auto, {', '.join(here)}"
        )
    return found


def resolve_dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    """The dtype of a name; None stays None, for the dtype of a potential's weights.

    Raises
    ------
    ValueError
        If it is neither float32 nor float64.
    """
    found = DTYPES.get(dtype, dtype) if isinstance(dtype, str) else dtype
    if found is not None and found not in DTYPES.values():
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, or None, not {dtype!r}")
    return found  # type: ignore[return-value]
