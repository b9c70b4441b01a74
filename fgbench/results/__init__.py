"""The result record: what was measured, on what, with what."""
