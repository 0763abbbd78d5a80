"""Servers of Prefect and MLflow, their deployments, and workers."""
