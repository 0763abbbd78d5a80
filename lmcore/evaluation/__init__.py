"""Per-document scores, intervals, baselines and the gates that read them."""
