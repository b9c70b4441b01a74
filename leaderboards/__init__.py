"""Published numbers as data (``paper/``); installed as ``fgbench.leaderboards``."""
