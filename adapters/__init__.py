"""The built-in adapters; installed as ``fgbench.adapters``. ``catalog`` lists them as data, importing nothing heavy."""
