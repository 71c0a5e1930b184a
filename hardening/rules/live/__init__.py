"""Containers and images of a real engine: judged by what it says of them, and by their files."""
