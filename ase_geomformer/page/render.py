"""The page as HTML: one file that works offline."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from ase_geomformer.machine.files import expanded, write_text
from ase_geomformer.machine.text import printable
from ase_geomformer.machine.version import package_version
from ase_geomformer.page.chart import joined, to_plotly
from ase_geomformer.page.run_files import RunPage, read_run
from ase_geomformer.runs.folder import PAGE_FILE


def write_page(
    runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
) -> Path:
    """Write the page of a run, or of several side by side.

    The page is one HTML file without links to anything outside it: verdict, numbers with units,
    interactive charts, the figures, a view of the structure or trajectory, settings and
    provenance.

    Parameters
    ----------
    runs : path or sequence of path
        Output folders.
    output : path, optional
        File to write; ``report.html`` in the folder of a single run if left out.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileNotFoundError
        If a folder holds no run.
    ImportError
        If plotly or Jinja2 is not installed (extra ``report``).
    ValueError
        If several runs are given without ``output``, or files of a run cannot be read.
    """
    sources = [runs] if isinstance(runs, str | os.PathLike) else list(runs)
    if not sources:
        raise ValueError("a page needs the folder of one run at least")
    if output is None and len(sources) > 1:
        raise ValueError("give the file to write (output) for a page of several runs")
    check_installed()
    pages = [read_run(source) for source in sources]
    path = expanded(sources[0]) / PAGE_FILE if output is None else expanded(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(pages))
    return path


def check_installed() -> None:
    """Refuse early what cannot be written later.

    Raises
    ------
    ImportError
        If plotly or Jinja2 is not installed.
    """
    for package in ("jinja2", "plotly"):
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"the page of a run needs {package}: pip install 'ase-geomformer[report]'"
            )


def render(pages: Sequence[RunPage]) -> str:
    """The HTML text of a page of runs."""
    import jinja2

    data = files("ase_geomformer.page").joinpath("data")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["printable"] = lambda value: printable(str(value))
    template = environment.from_string(data.joinpath("page.html.j2").read_text(encoding="utf-8"))
    names = _names(pages)
    charts = (
        pages[0].charts
        if len(pages) == 1
        else joined({name: page.charts for name, page in zip(names, pages, strict=True)})
    )
    html: str = template.render(
        pages=list(zip(names, pages, strict=True)),
        compared=_compared(pages) if len(pages) > 1 else [],
        charts=[to_plotly(chart) for chart in charts],
        views=[page.structure for page in pages],
        style=data.joinpath("page.css").read_text(encoding="utf-8"),
        script=data.joinpath("page.js").read_text(encoding="utf-8"),
        plotly=_plotly(),
        version=package_version(),
    )
    return html


def _names(pages: Sequence[RunPage]) -> list[str]:
    """A name for each run; those of the same name get a number."""
    names = [page.name for page in pages]
    return [
        name if names.count(name) == 1 else f"{name} ({names[:place].count(name) + 1})"
        for place, name in enumerate(names)
    ]


def _compared(pages: Sequence[RunPage]) -> list[tuple[str, str, list[str]]]:
    """Name, unit and the value of each run, for numbers that two runs have at least."""
    keys = dict.fromkeys((name, unit) for page in pages for name, _, unit in page.numbers)
    held = [{(name, unit): value for name, value, unit in page.numbers} for page in pages]
    return [
        (name, unit, [numbers.get((name, unit), "") for numbers in held])
        for name, unit in keys
        if sum((name, unit) in numbers for numbers in held) > 1
    ]


def _plotly() -> str:
    """plotly.js, compressed, in base64: a third of its size."""
    from plotly.offline import get_plotlyjs

    packed = gzip.compress(get_plotlyjs().encode("utf-8"), mtime=0)
    return base64.b64encode(packed).decode("ascii")
