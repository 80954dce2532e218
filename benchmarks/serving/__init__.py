"""Loads on a server over HTTP."""
