"""What all packages of restoreproof share."""
