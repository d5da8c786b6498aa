"""Archives of a tiny model, honest and hostile, and a web server that gives them out in every way."""

import io
import resource
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import sherpa_models


def tar_of(folder: Path, archive: Path, mode: str = "w:bz2") -> Path:
    with tarfile.open(archive, mode) as file:  # type: ignore[call-overload]
        file.add(folder, arcname=folder.name)
    return archive


def zip_of(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in folder.rglob("*"):
            file.write(path, f"{folder.name}/{path.relative_to(folder)}")
    return archive


def model_tar(folder: Path, name: str = "tiny.tar.bz2") -> Path:
    """A model's archive such as sherpa-onnx's."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return tar_of(sherpa_models.tdnn_ctc(work), folder / name)


def tar_with(archive: Path, *members: tarfile.TarInfo, data: bytes = b"x") -> Path:
    with tarfile.open(archive, "w") as file:
        for member in members:
            member.size = len(data) if member.isreg() else 0
            file.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return archive


class Web:
    """Gives out `content` at every path. Set `ranges`, `cut_after` (bytes of one answer), `status`, `etag`."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.ranges = True
        self.cut_after: int | None = None
        self.status: int | None = None
        self.etag = '"one"'
        self.asked: list[tuple[str, str | None]] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def web(content: bytes) -> Iterator[Web]:
    site = Web(content)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            site.asked.append((self.path, wanted))
            if site.status is not None:
                self.send_error(site.status)
                return
            start = 0
            if wanted and site.ranges and self.headers.get("If-Range") == site.etag:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
            body = site.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("ETag", site.etag)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body if site.cut_after is None else body[: site.cut_after])
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """As on a full disk: writing further fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
