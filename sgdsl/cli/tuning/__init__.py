"""What `sgdsl tune` is made of: prompts, a rising load, advice, a picture."""
