"""`pocket`: a small procedural data set, drawn by integers over the photographs that scikit-image carries."""
