"""Model families, their weights and where they come from."""
