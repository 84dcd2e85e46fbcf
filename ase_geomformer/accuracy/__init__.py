"""Errors on labelled structures, figures and model cards."""
