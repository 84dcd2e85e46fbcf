"""Reaction paths: nudged elastic bands and saddle points."""
