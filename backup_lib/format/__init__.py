"""The on-disk format of a backup set."""
