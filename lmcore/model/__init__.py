"""The recurrent + attention language model, its loss and its generation."""
