"""Families of datasets: one module or package for each native format."""
