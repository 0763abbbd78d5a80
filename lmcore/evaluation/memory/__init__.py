"""What a model remembers of its text: contamination, membership, exposure, verbatim output."""
