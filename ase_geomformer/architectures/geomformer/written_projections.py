"""Queries, keys and values of GeoMFormer's attention with their gradient written out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ase_geomformer.architectures.geomformer.written_maps import DegreeMaps
from ase_geomformer.architectures.geomformer.written_norm import UnitStreams
from ase_geomformer.layers.unit_norm import UnitNorm


class Projected(NamedTuple):
    """What atoms ask for and send, and what the gradient needs.

    Attributes
    ----------
    query : Tensor, shape (N, 2 F) or (N, (2 + 2 M) F)
    sent : Tensor
        Keys and values like the queries, and what directions are weighed with (F or none).
    """

    query: Tensor
    sent: Tensor
    unit: UnitNorm
    unit_e: UnitStreams
    of_x: Tensor
    of_e: Tensor


class FrozenProjections(NamedTuple):
    """Maps of both streams, normalised.

    Attributes
    ----------
    eps : float
        Of the norm of x.
    maps_x, maps_x_bias : Tensor
        From x to its queries (2 F), where e is updated to the factors of its keys and values
        (2 F), to keys and values of x with itself (2 F), and to directions (F or none).
    maps_e : DegreeMaps
        From e to the first and the second factors of the key and value that x asks for (4 F), and
        where e is updated to queries (2 F), key and value of e with itself, and those that x weighs
        (4 F).
    updates_e : bool
    """

    eps: float
    maps_x: Tensor
    maps_x_bias: Tensor
    maps_e: DegreeMaps
    updates_e: bool

    def evaluate(self, x: Tensor, e: Tensor) -> Projected:
        """From streams x (N, F) and e (M, N, F)."""
        width = x.shape[1]
        unit, unit_e = UnitNorm.of(x, self.eps), UnitStreams.of(e[:, :, None])
        of_x = torch.addmm(self.maps_x_bias, unit.values, self.maps_x)
        of_e = self.maps_e.mapped(unit_e.values[:, :, 0])
        invariants = (of_e[:, :, : 2 * width] * of_e[:, :, 2 * width : 4 * width]).sum(dim=0)
        key_e, value_e = invariants.split(width, dim=1)
        query = of_x[:, : 2 * width]
        keys = 4 * width if self.updates_e else 2 * width
        key, value = of_x[:, keys : keys + 2 * width].split(width, dim=1)
        if not self.updates_e:
            sent = torch.cat([key, key_e, value, value_e], dim=1)
            return Projected(query.contiguous(), sent, unit, unit_e, of_x, of_e)
        factors, direction = of_x[:, 2 * width : 4 * width], of_x[:, 6 * width :]
        atoms, components = x.shape[0], e.shape[0]
        queries = of_e[:, :, 4 * width : 6 * width].transpose(0, 1).reshape(atoms, -1)
        itself = of_e[:, :, 6 * width : 8 * width].view(components, atoms, 2, width)
        weighed = (of_e[:, :, 8 * width :] * factors).view(components, atoms, 2, width)
        both = torch.cat([itself, weighed], dim=3).permute(2, 1, 0, 3).flatten(2)
        sent = torch.cat([key, key_e, both[0], value, value_e, both[1], direction], dim=1)
        return Projected(torch.cat([query, queries], dim=1), sent, unit, unit_e, of_x, of_e)

    def gradient(self, kept: Projected, by_query: Tensor, by_sent: Tensor) -> tuple[Tensor, Tensor]:
        """From slopes of queries and of what is sent to those of x and of e (M, N, F)."""
        size, of_e = by_query.shape[1], kept.of_e
        components, atoms = of_e.shape[:2]
        width = kept.unit.values.shape[1]
        by_key, by_value = by_sent[:, :size], by_sent[:, size : 2 * size]
        by_x, by_e = torch.empty_like(kept.of_x), torch.empty_like(of_e)
        by_x[:, : 2 * width] = by_query[:, : 2 * width]
        asked = torch.cat([by_key[:, width : 2 * width], by_value[:, width : 2 * width]], dim=1)
        torch.mul(of_e[:, :, 2 * width : 4 * width], asked, out=by_e[:, :, : 2 * width])
        torch.mul(of_e[:, :, : 2 * width], asked, out=by_e[:, :, 2 * width : 4 * width])
        keys = 4 * width if self.updates_e else 2 * width
        by_x[:, keys : keys + width] = by_key[:, :width]
        by_x[:, keys + width : keys + 2 * width] = by_value[:, :width]
        if self.updates_e:
            by_x[:, keys + 2 * width :] = by_sent[:, 2 * size :]
            queries = by_query[:, 2 * width :].view(atoms, components, 2 * width)
            by_e[:, :, 4 * width : 6 * width] = queries.transpose(0, 1)
            both = torch.stack([by_key[:, 2 * width :], by_value[:, 2 * width :]])
            both = both.view(2, atoms, components, 2, width).permute(3, 2, 1, 0, 4).flatten(3)
            itself, weighed = both
            by_e[:, :, 6 * width : 8 * width] = itself
            factors = kept.of_x[:, 2 * width : 4 * width]
            torch.mul(weighed, factors, out=by_e[:, :, 8 * width :])
            by_x[:, 2 * width : 4 * width] = (weighed * of_e[:, :, 8 * width :]).sum(dim=0)
        of_x = kept.unit.gradient(by_x @ self.maps_x.T)
        by_unit = self.maps_e.gradient(by_e)
        return of_x, kept.unit_e.gradient(by_unit[:, :, None])[:, :, 0]
