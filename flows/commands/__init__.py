"""One module a command: its arguments, what it does, and its answer as text."""
