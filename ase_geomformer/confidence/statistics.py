"""What is kept of the training data of a potential: its domain, and what makes uncertainties.

All of it is about the features f (N, D) of atoms that enter the last, linear layer of the energy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Confidence:
    """Statistics of the training data of a potential.

    Attributes
    ----------
    sha256 : str
        Checksum of the weights that they belong to.
    data : str
        Name of the training data.
    elements : array (K,)
        Atomic numbers.
    means : Tensor (K, D)
        Mean features of each element.
    whitening : Tensor (K, D, D)
        Of each element, what turns deviations from the mean into independent numbers of variance
        one.
    limits : Tensor (K,)
        Length of the whitened deviation up to which an atom counts as known.
    min_distances_A : Tensor (K, K)
        Shortest distance of two atoms of these elements; infinite where none are neighbours.
    root : Tensor (D, D)
        Root R of the covariance R R^T of the last layer's weights, in eV per feature.
    energy_factor, forces_factor : float
        Calibration of the uncertainties, from structures that were not trained on.
    """

    sha256: str
    data: str
    elements: Array
    means: Tensor
    whitening: Tensor
    limits: Tensor
    min_distances_A: Tensor
    root: Tensor
    energy_factor: float
    forces_factor: float

    def grades(self, features: Tensor, numbers: Tensor) -> Tensor:
        """Extrapolation grades (N,): how far atoms are from the mean of their element's, in limits.

        The distance is Mahalanobis's: in standard deviations of the training data along each
        direction. Above one, an atom's surroundings are unlike those of the training data.
        """
        found = features.new_full((len(numbers),), torch.inf, dtype=torch.float32)
        for place, number in enumerate(self.elements):
            own = (numbers == int(number)).nonzero()[:, 0]
            if len(own):
                deviations = (features[own].float() - self.means[place]) @ self.whitening[place].T
                found[own] = deviations.norm(dim=1) / self.limits[place]
        return found

    def close_pair(self, distances: Tensor, first: Tensor, second: Tensor) -> int | None:
        """The pair of atoms that is closest beyond what the training data hold; None if none is.

        Parameters
        ----------
        distances : Tensor (E,)
            Å.
        first, second : Tensor (E,)
            Atomic numbers of the two.
        """
        excess = self.least_distances(first, second) - distances
        if not len(excess) or not bool((excess > 0).any()):
            return None
        return int(excess.argmax())

    def least_distances(self, first: Tensor, second: Tensor) -> Tensor:
        """Shortest distances (E,) in the training data of pairs of elements; zero where unknown."""
        places = torch.full((int(max(self.elements)) + 1,), 0)
        places[torch.as_tensor(self.elements)] = torch.arange(len(self.elements))
        least = self.min_distances_A[places[first], places[second]]
        return torch.where(torch.isfinite(least), least, 0.0)

    def energy_uncertainty(self, scaled: Tensor) -> Tensor:
        """Standard deviations in eV of sums of scaled features (S, D), of structures or atoms."""
        return self.energy_factor * (scaled.double() @ self.root.double()).norm(dim=-1)
