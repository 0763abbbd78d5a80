"""Language models, broken and sound, that the gates are tried on."""
