"""Foreign checkpoints turned into potentials."""
