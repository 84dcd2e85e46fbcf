"""Equations of state of crystals."""
