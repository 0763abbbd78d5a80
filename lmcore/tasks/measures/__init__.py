"""What a task's answers are worth, and those of simple baselines."""
