"""The spherical branch of EST with its gradient written out, on features (M, N, C).

For the polynomial kernel. Logits of all pairs of directions are linear in the products of
coefficients of queries and keys, and what attention does to coefficients of values is linear in
the kernel: both are one product with a table, and no feature is taken to the points for it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ase_geomformer.architectures.est.sphere.norm import NORM_EPS, FrozenFunctionNorm
from ase_geomformer.architectures.est.sphere.quadrature import SPHERE_AREA

# Numbers of the tables, beyond which the products of features at points are faster.
LARGEST_TABLE = 500_000


class SphericalKept(NamedTuple):
    """What the gradient of the branch needs."""

    values: Tensor
    unit: tuple[Tensor, Tensor]
    qkv: Tensor
    roots: Tensor  # inverse root mean squares of queries and keys, (N, 2, heads)
    products: Tensor
    scale: Tensor
    logits: Tensor
    mean: Tensor
    attention: Tensor
    attended: Tensor
    of_attended: tuple[Tensor, Tensor]
    hidden: Tensor
    coefficients: Tensor
    factors: Tensor


class FrozenSphere(NamedTuple):
    """Constants of a :class:`~.attention.SphericalBranch`.

    Attributes
    ----------
    norm, expert_norm : FrozenFunctionNorm
    qkv, qkv_bias : Tensor
        (C, 3 C), and what is added to the coefficients of degree zero.
    heads : int
    sharpness : Tensor, shape (heads,)
        Times the scale of logits.
    angles : Tensor, shape (heads, M, M)
        What is added to products, so that they give logits plus one.
    to_logits : Tensor, shape (M M, S S)
        From products of coefficients to values at pairs of points.
    to_attention : Tensor, shape (S S, M M + 1)
        From squares at pairs of points to matrices of coefficients, and to the mean.
    constant : Tensor, shape (M M + 1,)
        Added to them.
    expand, expand_bias : Tensor
        (C, 2 H), and what is added to the coefficients of degree zero.
    to_points, from_points : Tensor, shape (S, M), (M, S)
    contract : Tensor, shape (H, C)
    """

    norm: FrozenFunctionNorm
    expert_norm: FrozenFunctionNorm
    qkv: Tensor
    qkv_bias: Tensor
    heads: int
    sharpness: Tensor
    angles: Tensor
    to_logits: Tensor
    to_attention: Tensor
    constant: Tensor
    expand: Tensor
    expand_bias: Tensor
    to_points: Tensor
    from_points: Tensor
    contract: Tensor

    def evaluate(self, values: Tensor, factors: Tensor) -> tuple[Tensor, SphericalKept]:
        """The experts' update (M, N, C); factors (N, H) weigh what is hidden in them."""
        components, atoms, channels = values.shape
        normal, unit = self.norm.evaluate(values)
        qkv = (normal.view(-1, channels) @ self.qkv).view(components, atoms, -1)
        qkv[0] += self.qkv_bias
        q, k, v = self._by_head(qkv)
        both = qkv[:, :, : 2 * channels]
        width = channels // self.heads
        squares = (both * both).view(components, atoms, 2, self.heads, width).sum(dim=(0, 4))
        roots = squares.div_(SPHERE_AREA * width).add_(NORM_EPS).rsqrt_()
        scale = (roots[:, 0] * roots[:, 1]).mul_(self.sharpness)
        products = torch.matmul(q, k.mT)
        weighed = torch.addcmul(self.angles, products, scale[:, :, None, None])
        logits = weighed.view(-1, components**2) @ self.to_logits
        kernel = torch.addmm(self.constant, logits * logits, self.to_attention)
        mean = kernel[:, -1:].reciprocal()
        attention = (kernel[:, :-1] * mean).view(products.shape)
        # (M, N, C) of the heads side by side.
        attended = torch.matmul(attention, v).permute(2, 0, 1, 3).contiguous().flatten(2)
        limited, of_attended = self.expert_norm.evaluate(attended)
        expanded = (limited.view(-1, channels) @ self.expand).view(components, atoms, -1)
        expanded[0] += self.expand_bias
        hidden = (self.to_points @ expanded.view(components, -1)).view(-1, *expanded.shape[1:])
        first, second = hidden.chunk(2, dim=2)
        squared = (first * second).view(self.to_points.shape[0], -1)
        coefficients = (self.from_points @ squared).view(components, atoms, -1)
        update = (coefficients * factors).view(components * atoms, -1) @ self.contract
        own = SphericalKept(
            values,
            unit,
            qkv,
            roots,
            products,
            scale,
            logits,
            mean,
            attention,
            attended,
            of_attended,
            hidden,
            coefficients,
            factors,
        )
        return update.view(values.shape), own

    def gradient(self, kept: SphericalKept, slope: Tensor) -> tuple[Tensor, Tensor]:
        """From slopes (M, N, C) of the update to those of the features and of the factors."""
        components, atoms, channels = kept.values.shape
        width = channels // self.heads
        by_weighed = (slope.reshape(-1, channels) @ self.contract.T).view(components, atoms, -1)
        by_factors = (by_weighed * kept.coefficients).sum(dim=0)
        by_weighed *= kept.factors
        by_squared = (self.from_points.T @ by_weighed.view(components, -1)).view(
            -1, *by_weighed.shape[1:]
        )
        first, second = kept.hidden.chunk(2, dim=2)
        by_hidden = torch.cat([by_squared * second, by_squared * first], dim=2)
        by_expanded = self.to_points.T @ by_hidden.view(self.to_points.shape[0], -1)
        by_limited = (by_expanded.view(components * atoms, -1) @ self.expand.T).view(
            kept.values.shape
        )
        by_attended = self.expert_norm.gradient(kept.of_attended, by_limited)
        by_heads = by_attended.view(components, atoms, self.heads, width).permute(1, 2, 0, 3)
        q, k, v = self._by_head(kept.qkv)
        by_qkv = torch.empty_like(kept.qkv)
        by_q, by_k, by_v = self._by_head(by_qkv)
        by_v.copy_(torch.matmul(kept.attention.mT, by_heads))
        by_attention = torch.matmul(by_heads, v.mT).view(kept.logits.shape[0], -1)
        by_kernel = kept.logits.new_empty(kept.logits.shape[0], by_attention.shape[1] + 1)
        torch.mul(by_attention, kept.mean, out=by_kernel[:, :-1])
        flat = kept.attention.view(by_attention.shape)
        by_kernel[:, -1] = -(by_attention * flat).sum(dim=1) * kept.mean[:, 0]
        by_logits = (by_kernel @ self.to_attention.T).mul_(kept.logits).mul_(2.0)
        by_weighed = (by_logits @ self.to_logits.T).view(kept.products.shape)
        by_scale = (by_weighed * kept.products).sum(dim=(2, 3))
        by_weighed *= kept.scale[:, :, None, None]
        by_q.copy_(torch.matmul(by_weighed, k))
        by_k.copy_(torch.matmul(by_weighed.mT, q))
        # Roots r = (mean square)^(-1/2) of queries and keys are factors of the scale.
        by_both = by_qkv[:, :, : 2 * channels].view(components, atoms, 2, self.heads, width)
        shares = (by_scale * kept.scale)[:, None] * kept.roots.square()
        shares /= -SPHERE_AREA * width
        both = kept.qkv[:, :, : 2 * channels].view(components, atoms, 2, self.heads, width)
        by_both.addcmul_(both, shares[None, :, :, :, None])
        by_normal = (by_qkv.view(components * atoms, -1) @ self.qkv.T).view(kept.values.shape)
        return self.norm.gradient(kept.unit, by_normal), by_factors

    def _by_head(self, qkv: Tensor) -> tuple[Tensor, ...]:
        """Features (M, N, 3 C) to queries, keys and values (N, heads, M, C / heads)."""
        components, atoms, _ = qkv.shape
        return qkv.view(components, atoms, 3, self.heads, -1).permute(2, 1, 3, 0, 4).unbind(0)
