"""Dockerfiles: what they say, what that comes to, and what is wrong with it."""
