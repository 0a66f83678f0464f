"""Metrics: integer counts on label maps, and the scores, intervals and rules of other harnesses computed from them."""
