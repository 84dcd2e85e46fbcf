from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from ase_geomformer.acceleration.compiler import compiler_backend, trace


def seen_as_rows(values: Tensor) -> Tensor:
    """A stack of one, which torch lays out anew and its compiler leaves as it is."""
    return torch.stack([values.transpose(1, 2)], dim=2).view(40, 2, 3).view(80, 3)


def test_a_traced_function_can_be_laid_out_otherwise() -> None:
    values = torch.arange(240.0).reshape(40, 3, 2)
    compiled = torch.compile(trace(seen_as_rows, values), backend=compiler_backend("inductor"))
    assert torch.equal(compiled(values), seen_as_rows(values))
    # Should this compile as well one day, trace need not change the graph any more.
    untouched = torch.compile(make_fx(seen_as_rows)(values), backend=compiler_backend("inductor"))
    with pytest.raises(RuntimeError, match="Cannot view a tensor"):
        untouched(values)
