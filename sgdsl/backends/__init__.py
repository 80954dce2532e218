"""Backends: what instructions run on."""
