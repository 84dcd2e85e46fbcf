"""Several processes that label structures at the same time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.learning.answers import Answer, structure_to_plain

WORKER = "ase_geomformer.learning.worker"
LOG_FILE = "teacher.log"
# Seconds that a worker may take to end by itself.
PATIENCE_S = 5.0


class Worker:
    """One process with the teacher; it is started again after it died.

    Parameters
    ----------
    name, arguments
        Of the teacher.
    folder : Path
        The process's working directory; what the teacher prints goes to ``teacher.log`` there.
    timeout_s : float or None
        Time after which a call counts as failed.
    """

    def __init__(
        self, name: str, arguments: Mapping[str, Any], folder: Path, timeout_s: float | None
    ) -> None:
        self.first = {"name": name, "arguments": dict(arguments), "path": _search_path()}
        self.folder, self.timeout_s = folder, timeout_s
        self._process: subprocess.Popen[str] | None = None

    def ask(self, atoms: Atoms) -> Answer:
        """Have a structure labelled; a process that dies or takes too long is a reason."""
        started = time.perf_counter()
        try:
            process = self._process or self._start()
            answer = self._exchange(process, structure_to_plain(atoms))
        except (BrokenPipeError, EOFError, TimeoutError) as error:
            reason = self._end(error)
            return Answer(seconds=time.perf_counter() - started, reason=reason)
        return Answer(
            answer["energy"],
            None if answer["forces"] is None else np.array(answer["forces"], dtype=np.float64),
            None if answer["stress"] is None else np.array(answer["stress"], dtype=np.float64),
            float(answer["seconds"]),
            answer["reason"],
        )

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(BrokenPipeError):
            assert process.stdin is not None
            process.stdin.close()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _start(self) -> subprocess.Popen[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOG_FILE).open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                text=True,
                encoding="utf-8",
                env={**os.environ, "PYTHONPATH": os.pathsep.join(self.first["path"])},
            )
        ready = self._exchange(self._process, self.first)
        if "error" in ready:
            self.close()
            raise ValueError(ready["error"])
        return self._process

    def _exchange(self, process: subprocess.Popen[str], content: Mapping[str, Any]) -> Any:
        assert process.stdin is not None
        assert process.stdout is not None
        timer = None
        late = threading.Event()
        if self.timeout_s is not None:

            def stop() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(self.timeout_s, stop)
            timer.start()
        try:
            process.stdin.write(json.dumps(content) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        finally:
            if timer is not None:
                timer.cancel()
        if late.is_set():
            raise TimeoutError
        if not line.endswith("\n"):
            raise EOFError
        return json.loads(line)

    def _end(self, error: Exception) -> str:
        """Why the process is no more."""
        process, self._process = self._process, None
        if isinstance(error, TimeoutError):
            reason = f"no answer within {self.timeout_s:g} s"
        else:
            code = None if process is None else process.wait()
            how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
            reason = f"the teacher's process ended with {how}; see {self.folder / LOG_FILE}"
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                with suppress(BrokenPipeError):
                    if stream is not None:
                        stream.close()
        return reason


class WorkerPool:
    """Labels structures in several processes at once.

    Parameters
    ----------
    name, arguments
        Of the teacher.
    workers : int
    folder : Path or None
        Each process works in a folder of its own in it; a temporary one if left out.
    timeout_s : float or None
    """

    def __init__(
        self,
        name: str,
        arguments: Mapping[str, Any],
        workers: int,
        folder: Path | None,
        timeout_s: float | None,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory() if folder is None else None
        place = Path(self._temporary.name) if self._temporary else Path(folder or ".")
        self.workers = [
            Worker(name, arguments, place.resolve() / f"worker_{number}", timeout_s)
            for number in range(workers)
        ]

    def __call__(self, structures: Iterable[Atoms]) -> Iterator[tuple[int, Answer]]:
        free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self.workers:
            free.put(worker)

        def one(atoms: Atoms) -> Answer:
            worker = free.get()
            try:
                return worker.ask(atoms)
            finally:
                free.put(worker)

        executor = ThreadPoolExecutor(len(self.workers))
        try:
            running = {executor.submit(one, atoms): i for i, atoms in enumerate(structures)}
            for done in as_completed(running):
                yield running[done], done.result()
        finally:
            executor.shutdown(cancel_futures=True)

    def close(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.close()
        if self._temporary is not None:
            self._temporary.cleanup()


def _search_path() -> list[str]:
    """Where this process finds modules, by absolute paths, as workers start in other folders."""
    return [str(Path(entry or ".").resolve()) for entry in sys.path]
