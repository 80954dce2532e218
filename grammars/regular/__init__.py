"""Regular languages over characters: patterns, sets, derivatives."""
