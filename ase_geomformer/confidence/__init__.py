"""How far the results of one potential can be trusted: domain of its training data, uncertainty."""
