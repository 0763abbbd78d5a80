"""Per-document log-likelihoods, and the metrics that are made of them."""
