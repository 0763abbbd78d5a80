"""Verbs: Prefect flows and tasks, MLflow tracking and registry, the command line."""
