"""Measurements as ratios: ``python -m benchmarks <name>``. Results and commands: README.md in this folder."""
