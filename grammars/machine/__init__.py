"""The byte-level pushdown every grammar runs on: tables, kernels, masks, matchers."""
