"""What runs next: pure Python over ints."""
