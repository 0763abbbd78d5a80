"""The gates that only a task's answers can be asked."""
