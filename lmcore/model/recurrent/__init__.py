"""The model from random weights: recurrent layers and attention behind word embeddings."""
