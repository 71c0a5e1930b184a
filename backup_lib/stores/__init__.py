"""Data stores that are backed up, one plugin each."""
