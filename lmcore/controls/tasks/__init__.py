"""Classifiers and writers, broken and sound, that the gates are tried on."""
