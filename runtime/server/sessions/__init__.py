"""Sessions: growing token sequences that clients hold, by websocket or by plain HTTP."""
