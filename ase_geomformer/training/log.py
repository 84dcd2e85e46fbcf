"""The log of a training, which neither a kill nor a resumed run damages."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from ase_geomformer.machine.bounded import read_regular_file
from ase_geomformer.machine.files import write_text

# A row of each step of a training of a million steps takes 200 MB.
LOG_BYTES = 2**30


class Log(CSVLogger):
    """Lightning's CSV log, which goes on with the rows that it had before a run was resumed."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            os.makedirs(self.root_dir, exist_ok=True)
            self._experiment = _Rows(self.log_dir)
        return self._experiment


class _Rows(ExperimentWriter):
    """Rows of a log; Lightning's deletes an earlier log at its start, and rewrites it in place."""

    def _check_log_dir_exists(self) -> None:
        """Leave the log of an interrupted run there."""

    def keep(self, steps: int) -> None:
        """Drop the rows from a number of steps on, which are made again."""
        path = Path(self.metrics_file_path)
        kept = [row for row in read_rows(path) if int(row["step"]) < steps]
        self.metrics_keys = sorted({name for row in kept for name in row})
        if kept:
            self._write(kept)
        else:
            path.unlink(missing_ok=True)

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        self._write(read_rows(Path(self.metrics_file_path)))

    def _write(self, rows: list[dict[str, str]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=self.metrics_keys)
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.metrics_file_path, text.getvalue())


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a log with what is filled of them; without the last one if it is half written.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    if not path.is_file():
        return []
    try:
        text = read_regular_file(path, LOG_BYTES).decode("utf-8")
        table = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
        rows = [{name: value for name, value in row.items() if value} for row in table]
        for row in rows:
            if int(row["step"]) < 0 or None in row:
                raise ValueError(f"a row has the step {row['step']}, or more fields than names")
            for value in row.values():
                float(value)
    except (ValueError, KeyError, csv.Error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return rows
