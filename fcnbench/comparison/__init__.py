"""Comparisons of records: side by side, against a baseline, and under the rules of other harnesses. No torch."""
