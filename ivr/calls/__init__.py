"""Calls: the exchange, the people in a call, the flow it walks, and what is kept of it."""
