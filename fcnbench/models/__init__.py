"""Layer 3: segmenters, the networks of the FCN papers, and the way to anybody else's network."""
