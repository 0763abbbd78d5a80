"""Answering many requests at once with one language model, in one batch that never stops."""
