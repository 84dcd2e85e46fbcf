"""Standard streams that never break a run."""

from __future__ import annotations

import os
import sys
from typing import IO, Any


def keep_streams() -> None:
    """Let the process go on when nobody reads its output any more.

    A reader that has gone away, as ``head`` does, or a stream that was closed from the start must
    not end a run before its files are written: what is written to such a stream is dropped.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before the process began
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - stays open
        elif not isinstance(stream, _Unbroken):
            setattr(sys, name, _Unbroken(stream))
    # Tables of no width at all cannot be drawn.
    if os.environ.get("COLUMNS", "80").strip() in ("", "0"):
        del os.environ["COLUMNS"]


class _Unbroken:
    """A text stream whose reader may go away."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        """Point the stream's descriptor to where everything disappears."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
