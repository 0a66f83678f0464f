"""Layer 0: what everything stands on. Standard library only; anything heavier is imported inside functions."""
