"""Models, versions, aliases and history in MLflow; the only room that imports it."""
