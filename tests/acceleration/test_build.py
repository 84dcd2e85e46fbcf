"""How a traced computation is prepared for the compiler."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from ase_geomformer.acceleration.build import VIEWS, simplify
from ase_geomformer.layers.dense import HeadLinear

PRODUCTS = (torch.ops.aten.mm.default, torch.ops.aten.bmm.default, torch.ops.aten.addmm.default)


@pytest.mark.parametrize("layer", [nn.Linear(6, 4), HeadLinear(8, 2)])
def test_weights_are_kept_in_the_order_in_which_products_read_them(layer: Any) -> None:
    layer.double()
    features = torch.randn(5, 6 if isinstance(layer, nn.Linear) else 8, dtype=torch.float64)

    def computation(features: Tensor) -> Tensor:
        return torch.autograd.grad(layer(features).square().sum(), features)[0]

    traced = make_fx(computation, _allow_non_fake_inputs=True)(features.requires_grad_())
    expected = traced(features)
    simplify(traced)
    traced.recompile()
    torch.testing.assert_close(traced(features), expected, rtol=0.0, atol=1e-14)
    found = [
        weight
        for node in traced.graph.nodes
        if node.target in PRODUCTS
        for weight in [_weight(traced, node.args[-1])]
        if weight is not None
    ]
    assert len(found) == 2  # forwards and backwards
    assert all(weight.is_contiguous() for weight in found)


def _weight(traced: torch.fx.GraphModule, node: torch.fx.Node) -> Tensor | None:
    """A weight as a product reads it; None for what is no weight."""
    if node.op == "get_attr":
        return getattr(traced, str(node.target))
    if node.target not in VIEWS:
        return None
    weight = _weight(traced, node.args[0])  # type: ignore[arg-type]
    return None if weight is None else node.target(weight, *node.args[1:])  # type: ignore[operator]
