"""Logging: one line a record on standard error, the same in every process."""

import logging
import sys
import time


def configure_logging(level: str, process: str) -> None:
    """Sets up the root logger of a process; `process` stands in every line."""
    formatter = logging.Formatter(f"%(asctime)sZ %(levelname)-7s {process} %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(max(logging.WARNING, logging.getLogger().level))  # INFO tells its set-up
