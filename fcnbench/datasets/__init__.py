"""Datasets: from their native formats to the canonical store, and from there to numpy arrays. No torch."""
