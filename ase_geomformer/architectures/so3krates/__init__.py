"""So3krates: attention filtered by spherical-harmonic coordinates."""
