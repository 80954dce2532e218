"""Threads of our own: a few that compute one thing together, meeting at barriers instead of being woken for each part."""
