"""Public data sets by name: where they come from, how they are fetched, checked and converted."""
