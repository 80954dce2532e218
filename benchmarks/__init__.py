"""Workloads written as programs, run here and by `transformers` on the same weights, in one call: `make bench`."""
