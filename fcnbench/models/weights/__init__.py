"""Weights: reading them from files of several formats, and the catalogue of published ones."""
