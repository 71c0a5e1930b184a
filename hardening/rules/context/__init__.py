"""Build contexts: what a builder would take in."""
