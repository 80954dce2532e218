"""Attention over the paged KV pool, by several backends."""
