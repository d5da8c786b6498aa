"""Tickets: the rules of the hotline, pure; and the service that turns a call into one."""
