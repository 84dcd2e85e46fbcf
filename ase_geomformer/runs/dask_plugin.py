"""What a Dask worker does when it starts; imported only where dask is installed."""

from __future__ import annotations

from distributed import Worker, WorkerPlugin

from ase_geomformer.runs.received import RECEIVED


class Delivery(WorkerPlugin):
    """Brings bytes to every worker, see :class:`~ase_geomformer.runs.shared.Shared`."""

    idempotent = True

    def __init__(self, sha256: str, content: bytes) -> None:
        self.name = f"ase-geomformer {sha256}"
        self._sha256, self._content = sha256, content

    def setup(self, worker: Worker) -> None:
        """Keep the bytes in the worker's process."""
        RECEIVED[self._sha256] = self._content
