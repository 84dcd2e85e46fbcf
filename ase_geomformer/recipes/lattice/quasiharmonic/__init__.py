"""The quasi-harmonic approximation: thermal expansion and Grüneisen parameters."""
