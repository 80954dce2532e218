"""A soak: random programs on an engine that is far too small for them, and everything that must hold all the same."""
