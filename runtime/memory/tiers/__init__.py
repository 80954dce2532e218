"""Tiers below the device's pool: evicted pages in host memory and in a directory on disk."""
