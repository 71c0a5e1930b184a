"""What came out, for people and for other programs."""
