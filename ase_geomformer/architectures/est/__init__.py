"""EST: attention over samples on the sphere."""
