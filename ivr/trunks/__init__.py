"""Carriers: where they are, whether they answer, and which takes a call."""
