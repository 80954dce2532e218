"""Who holds which page, and what of it can be reused: pure Python over ints."""
