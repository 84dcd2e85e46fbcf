"""Rotations of features on the sphere."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ase_geomformer.architectures.est.sphere.points import lebedev
from ase_geomformer.architectures.est.sphere.transform import real_harmonics


def representation(lmax: int, rotation: np.ndarray) -> Tensor:
    """The matrix D of a rotation in all degrees up to lmax, Y(R p) = D Y(p).

    From the harmonics themselves: e3nn goes through Euler angles, which are good to 1e-6 only.
    """
    points = lebedev(2 * lmax + 1).points
    here, there = real_harmonics(lmax, points), real_harmonics(lmax, points @ rotation.T)
    return torch.linalg.lstsq(here, there).solution.T
