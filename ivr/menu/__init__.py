"""Flows: what a caller meets, as data, and the pure machine that walks them."""
