"""A model that exists, gone on from: decoders of the `transformers` library."""
