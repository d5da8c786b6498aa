"""The console process: the staff's web pages."""

import threading

from console.server import serve_console
from hotline.settings import Settings
from hotline.wiring.database import open_database


def run(settings: Settings, stop: threading.Event) -> None:
    """Serves pages until `stop` is set."""
    open_database(settings).close()
    serve_console(settings, stop)
