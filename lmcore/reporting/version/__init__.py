"""The report and the card of one version."""
