"""Who is expected to be whom: gendered leanings of words, in a model and in its training text."""
