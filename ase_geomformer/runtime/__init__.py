"""Evaluating a potential: settings, the prepared potential, results, predicted memory."""
