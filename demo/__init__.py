"""A telephone and its callers: what rings the hotline in the demonstration, the benchmarks and the tests.

It shares no signalling or media code with the product, so that a fault can't cancel itself out.
"""
