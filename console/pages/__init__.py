"""The endpoints of the console, a module a page."""
