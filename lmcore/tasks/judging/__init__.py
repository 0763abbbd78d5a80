"""From a task's answers to metrics, baselines, comparisons and gates."""
