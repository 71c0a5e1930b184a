"""The store ``postgres``: logical backups of PostgreSQL 14 to 18, proven by restoring them."""
