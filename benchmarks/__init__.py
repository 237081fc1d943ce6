"""Measurements of cuvee beside its peers."""
