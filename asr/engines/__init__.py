"""Recognizers behind the port of `asr.recognizer`."""
