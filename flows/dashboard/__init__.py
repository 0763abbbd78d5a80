"""The page over all models: gathered from the registry, written to a file, served on a port."""
