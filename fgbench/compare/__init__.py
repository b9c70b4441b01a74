"""Two models, or a model and the paper, side by side: from records and outcomes on disk; loads no model.

``comparison.compare(a, b)`` and ``paper.compare_with_paper(a)`` take the sides found by ``sides.find``;
``protocol.protocol_difference`` says whether two records are comparable; ``bilingual.gaps`` compares a model's English
and Chinese scores. Each returns plain data with ``as_json``.
"""
