"""Threads of our own: a few that compute one thing together and meet at barriers, instead of being woken each time."""
