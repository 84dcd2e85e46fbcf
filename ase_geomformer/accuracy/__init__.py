"""A potential against labelled structures: errors, figures and model cards."""
