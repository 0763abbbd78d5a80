"""Several short trainings beside the real one: rates that are compared, parts of the text."""
