"""Intrinsic reaction coordinates: from a saddle point down to both minima."""
