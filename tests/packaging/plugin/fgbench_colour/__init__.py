"""A model and a task that live in a package of their own."""
