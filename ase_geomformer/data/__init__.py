"""Labelled structures: from files in any unit to frames, splits and reference energies."""
