"""What clients and servers of native sessions say to each other. Light: no torch, no sockets."""
