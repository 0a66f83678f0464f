"""Layer 2: data sets from their native form to the canonical store, and from there to numpy arrays."""
