"""For authors of adapters: the contract check (``fgbench check-adapter``) and a package to start from."""
