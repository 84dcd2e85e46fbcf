from __future__ import annotations

import numpy as np
import pytest
import torch

from ase_geomformer.architectures.so3krates.nonlocality import nonlocal_envelope, segment_softmax
from ase_geomformer.graph.segments import Segments

BATCH = torch.tensor([0, 0, 0, 0, 1, 1, 2])  # four atoms, two, and one alone


def all_pairs() -> tuple[torch.Tensor, torch.Tensor]:
    same = BATCH[:, None] == BATCH
    same.fill_diagonal_(fill_value=False)
    return same.nonzero().unbind(1)


def segments(*ends: torch.Tensor) -> list[Segments]:
    return [Segments(end, len(BATCH)) for end in ends]


def test_softmax_of_each_segment() -> None:
    receiver, _ = all_pairs()
    generator = torch.Generator().manual_seed(0)
    # Hundreds: without subtracting the largest, exponentials would overflow.
    logits = 300.0 * torch.randn(len(receiver), generator=generator, dtype=torch.float64)
    found = segment_softmax(logits, Segments(receiver, len(BATCH)))
    for atom in range(len(BATCH)):
        mine = receiver == atom
        torch.testing.assert_close(found[mine], torch.softmax(logits[mine], dim=0))
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("cutoff", ["uniform", 0.3])
def test_envelope_by_the_definition(cutoff: float | str, rng: np.random.Generator) -> None:
    receiver, sender = all_pairs()
    separations = torch.from_numpy(rng.uniform(0.0, 2.0, size=len(receiver)))
    found = nonlocal_envelope(separations, *segments(receiver, sender), BATCH, cutoff)
    sizes = {0: 4, 1: 2}
    for pair, (i, j) in enumerate(zip(receiver.tolist(), sender.tolist(), strict=True)):
        assert i != j
        others = separations[receiver == i].exp().sum()
        limit = 1.0 / sizes[int(BATCH[i])] if cutoff == "uniform" else cutoff
        u = float(separations[pair].exp() / others / limit)
        expected = 1.0 - 28.0 * u**6 + 48.0 * u**7 - 21.0 * u**8 if u < 1.0 else 0.0
        assert found[pair].item() == pytest.approx(expected, abs=1e-14)
    assert 0 < (found > 0.0).sum() < len(found)


def test_the_more_alike_the_more_weight() -> None:
    ends = segments(torch.tensor([0, 0, 0]), torch.tensor([1, 2, 3]))
    batch = torch.zeros(4, dtype=torch.int64)
    separations = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    found = nonlocal_envelope(separations, *ends, batch, "uniform")
    assert found[0] > found[1] > 0.0
    assert found[2] == 0.0


def test_pairs_of_an_atom_with_itself_are_silent() -> None:
    """They fill up a padded graph."""
    index, batch = torch.zeros(5, dtype=torch.int64), torch.zeros(3, dtype=torch.int64)
    assert not nonlocal_envelope(torch.zeros(5), *segments(index, index), batch, 0.9).any()


def test_rounding_is_that_of_float32() -> None:
    batch = torch.tensor([0, 0, 0, 1, 1, 1, 1])  # a third is not exact in either type
    ends = segments(torch.tensor([0, 0]), torch.tensor([1, 2]))
    separations = torch.tensor([0.0, 1.0], dtype=torch.float64)
    exact, rounded = (
        nonlocal_envelope(separations, *ends, batch, "uniform", rounded=rounded)
        for rounded in (False, True)
    )
    assert exact.dtype == rounded.dtype == torch.float64
    assert 0.0 < (exact - rounded).abs().max() < 1e-6
