"""Broken and sound models that every gate is tried on, and what the gates said."""
