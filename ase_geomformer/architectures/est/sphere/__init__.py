"""Functions on the sphere around each atom: points, Fourier transform, attention of directions.

An, Lu, Qu, Shi, Lin, Tang, Xu, Cao, Qi, "Equivariant Spherical Transformer" (arXiv 2505.23086).
Features of shape (N, (L+1)^2, C) hold C functions on the sphere per atom by their coefficients
in e3nn's real spherical harmonics, degrees 0..L side by side.
"""
