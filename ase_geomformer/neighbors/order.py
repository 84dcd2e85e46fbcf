"""The one order of edges: every edge becomes one integer, and the integers are sorted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ase_geomformer.neighbors.edges import NeighborList

# A signed 64-bit integer less its sign.
KEY_BITS = 63


@dataclass(frozen=True)
class EdgeOrder:
    """Packs (i, j, S) into the bits of one non-negative int64, i in the highest.

    Comparing two such keys compares the edges lexicographically, so that sorting bare integers,
    which is several times cheaper than sorting by columns, orders the list.

    Parameters
    ----------
    num_atoms : int
        Atom indices lie in ``[0, num_atoms)``.
    reach : tuple of three ints
        Shifts along axis k lie in ``[-reach[k], reach[k]]``.

    Raises
    ------
    ValueError
        If an edge does not fit into 63 bits.
    """

    num_atoms: int
    reach: tuple[int, int, int]

    def __post_init__(self) -> None:
        if self.offsets[0] + self.atom_bits > KEY_BITS:
            raise ValueError(
                f"{self.num_atoms} atoms with up to {self.reach} periodic images either way are "
                "too many for one neighbour list; split the batch or use a smaller cutoff"
            )

    @property
    def atom_bits(self) -> int:
        return max(self.num_atoms - 1, 1).bit_length()

    @property
    def offsets(self) -> tuple[int, int, int, int, int]:
        """Lowest bit of i, j, S_x, S_y and S_z."""
        _, y, z = ((2 * reach).bit_length() for reach in self.reach)
        shift = sum((2 * reach).bit_length() for reach in self.reach)
        return shift + self.atom_bits, shift, y + z, z, 0

    def sort(
        self, receivers: Tensor, senders: Tensor, shifts: Tensor, *, mirror: bool
    ) -> NeighborList:
        """The list of the given edges (E,), (E,), (E, 3) in canonical order.

        ``mirror`` adds the opposite edge (j, i, -S) of each.
        """
        keys = [self.pack(receivers, senders, shifts, 1)]
        if mirror:
            keys.append(self.pack(senders, receivers, shifts, -1))
        return self.unpack(sort_keys(torch.cat(keys)))

    def pack(self, receivers: Tensor, senders: Tensor, shifts: Tensor, sign: int) -> Tensor:
        """Keys (E,) of the edges (i, j, sign * S)."""
        receiver, sender, *axes = self.offsets
        keys = (receivers << receiver).bitwise_or_(senders << sender)
        for axis, (offset, reach) in enumerate(zip(axes, self.reach, strict=True)):
            if reach:
                steps = shifts[:, axis].to(torch.int64)
                keys += torch.add(reach, steps, alpha=sign) << offset
        return keys

    def unpack(self, keys: Tensor) -> NeighborList:
        """The edges of keys (E,), in their order."""
        receiver, sender, *axes = self.offsets
        edge_index = keys.new_empty((2, keys.shape[0]))
        torch.bitwise_right_shift(keys, receiver, out=edge_index[0])
        torch.bitwise_right_shift(keys, sender, out=edge_index[1])
        edge_index[1].bitwise_and_((1 << self.atom_bits) - 1)
        shifts = keys.new_zeros((keys.shape[0], 3))
        for axis, (offset, reach) in enumerate(zip(axes, self.reach, strict=True)):
            if reach:
                bits = (1 << (2 * reach).bit_length()) - 1
                shifts[:, axis] = (keys >> offset).bitwise_and_(bits).sub_(reach)
        return NeighborList(edge_index, shifts)


def sort_keys(keys: Tensor) -> Tensor:
    """Keys (E,) in increasing order, on their device.

    NumPy sorts integers with vector instructions, twice as fast as torch on a CPU.
    """
    if keys.device.type == "cpu":
        return torch.from_numpy(np.sort(keys.numpy()))
    return torch.sort(keys).values
