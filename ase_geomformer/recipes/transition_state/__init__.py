"""Transition states: from one structure to the saddle point near it."""
