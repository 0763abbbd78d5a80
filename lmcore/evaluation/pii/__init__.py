"""Personal data at both ends: what masking finds of it, and what a model gives away."""
