"""Work spread over executors: order, failures, dead workers, clusters that are not there."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from ase_geomformer.runs.cluster import check_workers, parse_cluster
from ase_geomformer.runs.executor import Failure, executor_of, spread
from ase_geomformer.runs.shared import Shared


def squares(numbers: Sequence[int]) -> list[int]:
    return [number * number for number in numbers]


def picky(numbers: Sequence[int]) -> list[int]:
    if 7 in numbers:
        raise ArithmeticError("seven is poison")
    return squares(numbers)


def short(numbers: Sequence[int]) -> list[int]:
    return list(numbers)[1:]


def exit_at_once(numbers: Sequence[int]) -> list[int]:
    os._exit(1)


def process_ids(seconds: Sequence[float]) -> list[int]:
    time.sleep(seconds[0])
    return [os.getpid()] * len(seconds)


class Inline:
    """An executor of our own: nothing but ``submit``."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def submit(self, function, batch):
        self.batches.append(list(batch))
        future: Future = Future()
        try:
            future.set_result(function(batch))
        except Exception as error:
            future.set_exception(error)
        return future


def test_results_carry_the_numbers_of_their_items():
    executor = Inline()
    found = dict(spread(executor, squares, range(10), batch_size=4))
    assert found == {n: n * n for n in range(10)}
    assert executor.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_threads_and_an_empty_list():
    with ThreadPoolExecutor(2) as pool, executor_of(pool) as executor:
        assert dict(spread(executor, squares, range(5))) == {n: n * n for n in range(5)}
        assert dict(spread(executor, squares, [])) == {}


def test_a_poisoned_item_is_set_aside_and_the_rest_of_its_batch_is_done():
    found = dict(spread(Inline(), picky, range(10), batch_size=5))
    assert found.pop(7) == Failure("ArithmeticError: seven is poison")
    assert found == {n: n * n for n in range(10) if n != 7}


def test_results_that_do_not_match_the_items_are_failures():
    found = dict(spread(Inline(), short, range(2), batch_size=2))
    assert found == {n: Failure("ValueError: 0 results for 1 items") for n in range(2)}


def test_a_pool_that_breaks_says_so():
    with (
        ProcessPoolExecutor(1) as pool,
        pytest.raises(RuntimeError, match="ProcessPoolExecutor died.*resume the run"),
    ):
        list(spread(pool, exit_at_once, range(3)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local", (None, None)),
        ("local:3", (3, None)),
        ("dask://host:8786", (None, "tcp://host:8786")),
    ],
)
def test_names_of_clusters(text, expected):
    assert parse_cluster(text) == expected


@pytest.mark.parametrize("text", ["", "locale", "local:0", "local:x", "dask://host", "tcp://a:1"])
def test_what_names_no_cluster(text):
    with pytest.raises(ValueError, match=r"give local, local:N or dask://HOST:PORT"):
        parse_cluster(text)


def test_what_takes_no_tasks_is_no_cluster():
    with pytest.raises(TypeError, match="not int"), executor_of(3):
        pass


def test_workers_of_another_version_are_refused():
    with pytest.raises(ConnectionError, match=r"tcp://far:1 has ase-geomformer 0\.0\.1"):
        check_workers({"tcp://far:1": "0.0.1"})


class TestDask:
    def test_a_killed_worker_costs_its_batch_only(self, client):
        victim = next(iter(client.run(os.getpid).values()))
        killer = threading.Timer(0.5, os.kill, (victim, signal.SIGKILL))
        with executor_of(client) as executor:
            killer.start()
            found = dict(spread(executor, process_ids, [0.1] * 30, batch_size=2))
        killer.join()
        assert sorted(found) == list(range(30))
        assert not any(isinstance(result, Failure) for result in found.values())
        assert victim not in client.run(os.getpid).values()

    def test_an_item_that_kills_its_workers_is_set_aside(self, client):
        with executor_of(client) as executor:
            found = dict(spread(executor, deadly, range(4), batch_size=2))
        assert found.pop(2).error.startswith("KilledWorker")
        assert found == {n: n * n for n in (0, 1, 3)}

    def test_a_shared_value_is_not_part_of_the_tasks(self, client):
        with executor_of(client) as executor:
            shared = Shared({"weights": b"x" * 1_000_000}, executor)
            assert shared._content is None
            found = dict(spread(executor, Lengths(shared), range(6), batch_size=2))
        assert found == dict.fromkeys(range(6), 1_000_000)

    def test_no_scheduler_is_one_clear_error(self, client, monkeypatch):
        monkeypatch.setattr("ase_geomformer.runs.cluster.SECONDS_TO_ANSWER", 1)
        with (
            pytest.raises(ConnectionError, match="no Dask scheduler answers at tcp://127.0.0.1:9"),
            executor_of("dask://127.0.0.1:9"),
        ):
            pass

    def test_a_scheduler_by_its_address(self, client):
        address = client.scheduler.address.removeprefix("tcp://")
        with executor_of(f"dask://{address}") as executor:
            assert dict(spread(executor, squares, range(3))) == {0: 0, 1: 1, 2: 4}


def deadly(numbers: Sequence[int]) -> list[int]:
    if 2 in numbers:
        os.kill(os.getpid(), signal.SIGKILL)
    return squares(numbers)


class Lengths:
    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        assert self.shared.get() is self.shared.get()
        return [len(self.shared.get()["weights"])] * len(numbers)


def test_a_shared_value_travels_with_tasks_of_other_executors(tmp_path: Path):
    with ProcessPoolExecutor(1) as pool:
        shared = Shared({"weights": b"xy"}, pool)
        assert dict(spread(pool, Lengths(shared), range(2))) == {0: 2, 1: 2}


def test_a_damaged_value_is_refused():
    shared = Shared({"weights": b"xy"}, Inline())
    shared._content = b"something else"
    with pytest.raises(RuntimeError, match="not whole"):
        shared.get()
