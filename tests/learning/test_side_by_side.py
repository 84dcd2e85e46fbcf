"""Members that train at the same time make the same steps, in as many threads as there are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import torch

from ase_geomformer.learning.side_by_side import Allowance, SideBySide


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def members(seen: list[list[float]], wait_s: float = 0.0) -> list[Callable[[float], None]]:
    def member(index: int) -> Callable[[float], None]:
        def step(progress: float) -> None:
            time.sleep(index * wait_s)
            seen[index].append(progress)

        return step

    return [member(index) for index in range(len(seen))]


def test_each_member_makes_its_steps_at_their_progress(threads: int) -> None:
    seen: list[list[float]] = [[], [], []]
    made = SideBySide(members(seen), Allowance(steps=25), lambda progress: None).run()
    assert made == 25
    expected = [step / 25 for step in range(25)]
    assert all(one == pytest.approx(expected) for one in seen)
    assert torch.get_num_threads() == threads


def test_members_of_different_speed_make_as_many_steps_in_a_time(threads: int) -> None:
    seen: list[list[float]] = [[], [], []]
    allowance = Allowance(seconds=0.3)
    made = SideBySide(members(seen, 0.001), allowance, lambda progress: None).run()
    assert made > 0
    assert [len(one) for one in seen] == [made] * 3
    assert all(0.0 <= progress <= 1.0 for one in seen for progress in one)


def test_torch_threads_are_divided_among_the_members() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(6)
    found: set[int] = set()
    names: set[str] = set()
    barrier = threading.Barrier(2, timeout=10)

    def step(progress: float) -> None:
        barrier.wait()  # two at a time
        found.add(torch.get_num_threads())
        names.add(threading.current_thread().name)

    try:
        SideBySide([step, step], Allowance(steps=3), lambda progress: None).run()
    finally:
        torch.set_num_threads(before)
    assert found == {3}
    assert len(names) == 2


def test_an_error_of_one_member_ends_all(threads: int) -> None:
    def fails(progress: float) -> None:
        raise RuntimeError("out of memory")

    seen: list[list[float]] = [[]]
    with pytest.raises(RuntimeError, match="out of memory"):
        SideBySide([*members(seen), fails], Allowance(seconds=60.0), lambda progress: None).run()
