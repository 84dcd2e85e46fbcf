"""What is freed is kept for the next step, and given back where memory is short."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest
from ase import Atoms

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.machine.allocator import USERS_OWN, keep_freed_memory
from ase_geomformer.potential import Potential
from ase_geomformer.runtime import memory_model, prepared

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the C library is not glibc"
)

# 40 MB, as often as a step needs it: ten thousand pages each time if they are asked for anew.
STEPS = """
import resource
import sys

import torch

from ase_geomformer.machine.allocator import give_freed_memory_back, keep_freed_memory

def resident_bytes():
    with open("/proc/self/statm") as report:
        return int(report.read().split()[1]) * resource.getpagesize()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

kept = keep_freed_memory() if sys.argv[1] == "keep" else False
for _ in range(20):  # the first ones are not aligned
    torch.ones(10_000_000)
before = faults()
for _ in range(5):
    torch.ones(10_000_000)
pages = faults() - before
held = resident_bytes()
give_freed_memory_back()
print(kept, pages, held - resident_bytes())
"""


Steps = Callable[..., tuple[str, int, int]]


@pytest.fixture
def steps(run_python: Callable[..., CompletedProcess[str]]) -> Steps:
    """Take the steps: whether memory was kept, pages asked for, bytes given back."""

    def take(word: str, **variables: str) -> tuple[str, int, int]:
        environment = {k: v for k, v in os.environ.items() if k not in USERS_OWN} | variables
        kept, pages, returned = run_python("-c", STEPS, word, env=environment).stdout.split()
        return kept, int(pages), int(returned)

    return take


def test_the_next_step_finds_its_memory_and_it_can_be_given_back(steps: Steps) -> None:
    _, asked_anew, _ = steps("leave")
    kept, pages, returned = steps("keep")
    assert kept == "True"
    assert asked_anew > 5_000
    assert pages < 500
    assert returned > 30_000_000


def test_what_the_user_tells_the_library_counts(steps: Steps) -> None:
    kept, _, _ = steps("keep", MALLOC_TRIM_THRESHOLD_="1000000")
    assert kept == "False"


def test_what_dask_tells_its_workers_does_not_count(steps: Steps) -> None:
    pytest.importorskip("distributed")
    from dask import config

    given = config.get("distributed.nanny.pre-spawn-environ")
    kept, pages, _ = steps("keep", MALLOC_TRIM_THRESHOLD_=str(given["MALLOC_TRIM_THRESHOLD_"]))
    assert kept == "True"
    assert pages < 500


@pytest.mark.parametrize("keep", [True, False])
def test_evaluation_on_a_cpu_keeps_memory_unless_told_not_to(
    potential: Potential, ethanol: Atoms, keep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bool] = []

    def watched() -> bool:
        calls.append(True)
        return keep_freed_memory()

    monkeypatch.setattr(prepared, "keep_freed_memory", watched)
    made = PotentialCalculator(potential, device="cpu", keep_memory=keep)
    assert not calls
    made.get_forces(ethanol)
    evaluate_many([ethanol, ethanol], made)
    assert bool(calls) == keep


def test_what_is_kept_goes_back_where_memory_is_short(
    potential: Potential, silicon: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [1e6]
    monkeypatch.setattr(memory_model, "free_memory", lambda device: free[-1])
    monkeypatch.setattr(memory_model, "give_freed_memory_back", lambda: free.append(1e12))
    made = PotentialCalculator(potential, device="cpu", radial_tables=False)
    made.get_forces(silicon.repeat(4))
    assert free == [1e6, 1e12]
