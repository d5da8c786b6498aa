"""A far end for what the hotline sends over HTTP: a real server on loopback that answers as it is told."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Received:
    """One request, as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Receiver:
    """`answers`: what the next requests get (then the last one for ever); an empty one closes the connection. `drip`:
    send an octet of the answer at a time, until the client has had enough. `silent`: never answer."""

    port: int
    scheme: str = "http"
    answers: list[bytes] = field(default_factory=lambda: [answer()])
    received: list[Received] = field(default_factory=list)
    drip: bool = False
    silent: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@contextmanager
def run_receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Serves until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiver = Receiver(listener.getsockname()[1], "https" if tls else "http")
        thread = threading.Thread(target=_serve, args=(listener, receiver, tls))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.stopped.set()
            with socket.create_connection(("127.0.0.1", receiver.port)):
                thread.join(10)
    assert not thread.is_alive()


def _serve(listener: socket.socket, receiver: Receiver, tls: ssl.SSLContext | None) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            if receiver.stopped.is_set():
                return
            connection.settimeout(5)
            try:
                _talk(tls.wrap_socket(connection, server_side=True) if tls else connection, receiver)
            except OSError:  # the client has had enough
                continue


def _talk(connection: socket.socket, receiver: Receiver) -> None:
    with connection:
        head = bytearray()
        while b"\r\n\r\n" not in head:
            part = connection.recv(65536)
            if not part:
                return
            head += part
        top, _, body = bytes(head).partition(b"\r\n\r\n")
        first, *lines = top.decode().split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", "0")):
            body += connection.recv(65536)
        receiver.received.append(Received(method, target, headers, body))
        text = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
        if receiver.silent:
            while connection.recv(1):
                pass
        elif receiver.drip:
            for octet in text:
                if receiver.stopped.wait(0.02):
                    return
                connection.sendall(bytes([octet]))
        else:
            connection.sendall(text)
