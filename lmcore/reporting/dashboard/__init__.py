"""The page over all models and versions."""
