"""Weights: files of several formats, and the catalogue of published weights."""
