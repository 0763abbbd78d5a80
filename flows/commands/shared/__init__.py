"""What several commands share, and the long work of one; no command is defined here."""
