"""KV that moves from engines that prefill to engines that decode: who owns which page meanwhile, on every rank."""
