"""Structures as graphs of atoms and edges, in tensors."""
