"""What a model is held against: n-gram models over bytes."""
