"""The runtime's pool, tree and scheduler over traces of requests, with a cost model in place of a network."""
