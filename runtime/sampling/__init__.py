"""From logits to tokens, and when to stop."""
