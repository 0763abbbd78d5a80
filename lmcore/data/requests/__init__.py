"""What is asked of a model in use, and what people say of its answers, kept as text."""
