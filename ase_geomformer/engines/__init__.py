"""Other programs that move atoms with our potentials, and structures divided among processes."""
