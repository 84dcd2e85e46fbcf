"""README files of potentials."""
