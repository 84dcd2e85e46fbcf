"""Training: from labelled structures to a potential that ships."""
