"""One module a command: what it does, and how its answer is written."""
