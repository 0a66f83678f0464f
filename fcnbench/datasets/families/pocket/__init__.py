"""`pocket`: a small procedural dataset, drawn by integers over the photographs that scikit-image carries."""
