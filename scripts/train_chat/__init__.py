"""Trains ``llava-tiny``: a small LLaVA on the vision tower of ``fgclip2-tiny``, for the miniature suite's questions."""
