"""Elastic constants of crystals."""
