"""One run folder for every verb: its files, provenance, result, tables, figures and progress."""
