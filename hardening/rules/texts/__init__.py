"""The rules' texts: why, and what to do. No logic in here."""
