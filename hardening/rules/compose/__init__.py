"""Compose files: merged as Compose merges them, then judged."""
