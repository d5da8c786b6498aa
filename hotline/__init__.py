"""The kernel: settings, errors, clock, database, bus, jobs, wiring and the command line. It knows no feature."""

__version__ = "0.1.0"
