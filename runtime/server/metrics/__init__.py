"""Metrics: `GET /metrics`."""
