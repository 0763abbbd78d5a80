"""Optimizer, schedule, checkpoints and the loop that trains a model."""
