"""Settings and plain values, checked with one clear error each."""
