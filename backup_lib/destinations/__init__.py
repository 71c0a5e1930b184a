"""Where backups are kept, one plugin each."""
