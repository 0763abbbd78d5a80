"""What a budget in seconds leaves of an evaluation: decided once, and recorded."""
