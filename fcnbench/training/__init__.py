"""Layer 6: how the built-in weights were made."""
