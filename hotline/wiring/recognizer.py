"""The recognizer process: a model behind a WebSocket. Never touches the database."""

import threading

from asr.server import serve_recognizer
from hotline.settings import Settings


def run(settings: Settings, stop: threading.Event) -> None:
    """Recognizes until `stop` is set."""
    serve_recognizer(settings, stop)
