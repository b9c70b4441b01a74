"""Leaderboards: measured results of many models beside published numbers, as CSV files that others can check."""
