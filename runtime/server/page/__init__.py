"""Page: what a browser sees at `/`: a playground, and a live view of the engine."""
