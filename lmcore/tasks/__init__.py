"""Applications of the language model: sentiment, translation, summarization."""
