"""Leaderboards: CSV files made from records, claims of papers, submissions and their verification. No torch."""
