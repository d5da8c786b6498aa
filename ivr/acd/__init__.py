"""Automatic call distribution: queues and seats, in one process or shared by several."""
