"""The report: one HTML page over a results folder, and plots of the same numbers.

Way of the data: records (:mod:`.gather`, :mod:`.check`) → what each may stand beside (:mod:`.standing`) → tables and
series (:mod:`.view`, :mod:`.provenance`) → a page (:mod:`.render`) or figures (:mod:`.plots`).
"""
