"""`pocket`: a small generated dataset, drawn in integer arithmetic over photographs from scikit-image."""
