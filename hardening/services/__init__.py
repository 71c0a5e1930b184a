"""Use cases of hardening, one a file."""
