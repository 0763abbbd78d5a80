"""Files that libraries read whole, in a process of its own that has bounds and may end."""
