"""Expected results of the miniature suite, and how results are compared with them."""
