"""Relaxation of structures and their cells, one by one and in batches."""
