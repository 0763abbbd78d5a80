"""From documents to batches: tokenizers, shards, canaries, the order of batches."""
