"""The engine in a process of its own: started, spoken to, watched and started again by the server."""
