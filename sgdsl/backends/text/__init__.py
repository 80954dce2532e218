"""What all backends share whose models are asked for text."""
