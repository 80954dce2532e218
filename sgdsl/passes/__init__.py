"""Passes: what is done to a graph, or found out about it, before it runs. Each is a small pure function."""
