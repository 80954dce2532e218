"""Openapi: the document that describes the server to programs, `/openapi.json`."""
