"""Constraints that begin before a grammar does: what the engine lays around a matcher."""
