"""Dask clusters: of this machine's processes, or one whose scheduler runs elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ase_geomformer.machine.version import package_version

LOCAL, REMOTE = "local", "dask://"
SECONDS_TO_ANSWER = 10


@contextmanager
def connect(cluster: str) -> Iterator[Any]:
    """A Dask client of the cluster that a text names; see :func:`parse_cluster`.

    Raises
    ------
    ConnectionError
        If no scheduler answers there, or a worker has another version of this package.
    ImportError
        If dask is not installed.
    ValueError
        If the text names no cluster.
    """
    number, address = parse_cluster(cluster)
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError("clusters need dask: pip install 'ase-geomformer[dask]'") from error
    with ExitStack() as opened:
        if address is None:
            # Without a limit of its own: a worker near its share of the memory would be paused.
            local = LocalCluster(
                n_workers=number,
                threads_per_worker=1,
                dashboard_address=None,
                memory_limit=0,
            )
            place: Any = opened.enter_context(local)
        else:
            place = address
        try:
            client = opened.enter_context(Client(place, timeout=SECONDS_TO_ANSWER))
        except OSError as error:
            raise ConnectionError(
                f"no Dask scheduler answers at {address} within {SECONDS_TO_ANSWER} s; start one "
                "with 'dask scheduler' and workers with 'dask worker HOST:PORT'"
            ) from error
        check_workers(client.run(package_version))
        yield client


def parse_cluster(cluster: str) -> tuple[int | None, str | None]:
    """Number of local workers, None for one on each core, and address of a scheduler elsewhere.

    ``local`` and ``local:N`` are workers on this machine, ``dask://HOST:PORT`` is a scheduler.
    """
    name, _, count = cluster.partition(":")
    if cluster.startswith(REMOTE) and cluster.removeprefix(REMOTE).rpartition(":")[0]:
        return None, "tcp://" + cluster.removeprefix(REMOTE)
    if name == LOCAL and (cluster == LOCAL or (count.isdecimal() and int(count) > 0)):
        return int(count) if count else None, None
    raise ValueError(f"cluster is {cluster!r}; give local, local:N or dask://HOST:PORT")


def check_workers(versions: dict[str, str]) -> None:
    """Refuse workers, by address, whose version of this package is not the one here."""
    own = package_version()
    others = {address: version for address, version in versions.items() if version != own}
    if others:
        address, version = next(iter(others.items()))
        raise ConnectionError(
            f"the worker at {address} has ase-geomformer {version}, and this is {own}; install "
            "the same version on all machines"
        )
