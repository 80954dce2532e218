"""Served: what the server takes from the language: programs that it runs itself."""
