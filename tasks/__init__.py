"""The built-in tasks; installed as ``fgbench.tasks``. Every module with a ``TASK`` is found by the engine."""
