"""Trains ``fgclip2-tiny``: a small FG-CLIP 2 for the miniature suite, on one core, in about an hour."""
