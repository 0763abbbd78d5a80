"""What a report is made of, typed: read once, from values that nobody has checked."""
