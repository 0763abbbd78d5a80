"""Default configurations, installed as package data."""
