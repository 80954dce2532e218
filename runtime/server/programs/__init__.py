"""Programs: compiled graphs that run on the server."""
