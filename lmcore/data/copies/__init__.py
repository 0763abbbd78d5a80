"""Exact and near copies: found by sketches, clustered, kept out after a removal."""
