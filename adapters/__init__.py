"""The built-in adapters; installed as ``fgbench.adapters``. ``catalog`` lists them as data and imports nothing heavy."""
