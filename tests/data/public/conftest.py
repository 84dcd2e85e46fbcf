from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ase_geomformer.data.public.places import FOLDERS_VARIABLE
from ase_geomformer.machine.places import DATA_VARIABLE


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of data sets, empty."""
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "user"))
    monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)
    return tmp_path / "user" / "datasets"


@pytest.fixture
def served() -> Iterator[Callable[[Path], str]]:
    """Serve a folder by HTTP, as the origin does, and return its address."""
    servers = []

    def serve(folder: Path) -> str:
        handler = partial(_Quiet, directory=str(folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass
