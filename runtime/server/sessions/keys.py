"""Keys: how handlers reach what the room of sessions keeps."""

from __future__ import annotations

from aiohttp import web

from runtime.server.sessions.greeting import Greeting
from runtime.server.sessions.held import HeldSessions
from runtime.server.sessions.peer import Peer

__all__ = ["GREETING", "HELD", "PEERS"]

GREETING: web.AppKey[Greeting] = web.AppKey("greeting", Greeting)
PEERS: web.AppKey[set[Peer]] = web.AppKey("peers", set)
HELD: web.AppKey[HeldSessions] = web.AppKey("held", HeldSessions)
