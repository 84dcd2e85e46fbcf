"""Kernels of attention between directions of the sphere: logits to weights of the quadrature."""

from __future__ import annotations

import torch
from torch import Tensor

from ase_geomformer.architectures.est.sphere.quadrature import SPHERE_AREA

LOGIT_CAP = 5.0


def polynomial_weights(logits: Tensor, quadrature: Tensor) -> Tensor:
    """The exponential to second order, 1 + z + z^2 / 2, over its mean on the sphere.

    Band-limited logits stay band-limited, and the mean over all pairs of points is invariant where
    that over one point's partners would not be band-limited.

    Parameters
    ----------
    logits : Tensor (N, H, S, S)
    quadrature : Tensor (S,)
        Weights of the points; the last axis of the result holds them.
    """
    kernel = (1.0 + logits + 0.5 * logits.square()) * quadrature
    mean = torch.matmul(kernel.sum(dim=-1), quadrature) / SPHERE_AREA
    return kernel / mean[..., None, None]


def softmax_weights(logits: Tensor, quadrature: Tensor) -> Tensor:
    """Softmax over the sphere: the quadrature weights enter as their logarithms."""
    return torch.softmax(logits + quadrature.log(), dim=-1)


def capped_softmax_weights(logits: Tensor, quadrature: Tensor) -> Tensor:
    """Softmax over the sphere of logits smoothly bounded by +-5, which bounds its sharpness."""
    capped = LOGIT_CAP * torch.tanh(logits / LOGIT_CAP)
    return torch.softmax(capped + quadrature.log(), dim=-1)
