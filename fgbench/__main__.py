"""``python -m fgbench``."""

from fgbench.cli import main

main()
