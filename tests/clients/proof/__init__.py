"""Unmodified WebSocket and JSON Patch libraries follow a real server. Read __main__ first."""
