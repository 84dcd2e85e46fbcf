"""Products of matrices by oneDNN.

For float32 torch calls MKL, which leaves the wider vector registers of AMD's processors unused:
105 billion multiplications and additions a second there, and 230 by oneDNN, which comes with torch,
too. Torch reaches it through an operation that its compiler takes for something else; an operation
of our own is called as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor

_library = torch.library.Library("ase_geomformer", "DEF")
_library.define("product(Tensor left, Tensor right, Tensor? bias) -> Tensor")


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Float32 matrices (N, K) and (K, M) on a CPU to their product, plus a bias (M,).

    Not differentiable: compiled code holds its gradients as products of their own.
    """
    result: Tensor = torch.ops.ase_geomformer.product.default(left, right, bias)
    return result


def _by_onednn(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
    result: Tensor = torch.ops.mkldnn._linear_pointwise.default(
        left, right.t(), bias, "none", [], ""
    )
    return result


_library.impl("product", _by_onednn, "CPU")


@torch.library.register_fake("ase_geomformer::product", lib=_library)
def _shape(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
    return left.new_empty(left.shape[0], right.shape[1])
