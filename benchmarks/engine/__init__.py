"""The engine alone: rates beside llama.cpp's own benchmark, where a step's time goes, and how it grows."""
