"""Layer 5: what stays of a run: the record, its matrices, and the boards made from records."""
