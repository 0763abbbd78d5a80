"""Text in, token batches out: readers, cleaning, duplicates, split, tokenizer, shards."""
