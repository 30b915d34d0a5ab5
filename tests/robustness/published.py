"""Hoda's file as a server of this machine publishes it, slowly; a small one."""

import hashlib
import importlib
import io
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import scipy.io

hoda = importlib.import_module("dlexp.data.datasets.hoda")  # the module; its package has the function under that name


def content() -> bytes:
    """Return a file like the published one, of 1200 random images."""
    chance = np.random.default_rng(0)
    images = np.empty((1200, 1), object)
    for i in range(len(images)):
        images[i, 0] = chance.integers(0, 2, (10, 10), np.uint8) * np.uint8(255)
    file = io.BytesIO()
    scipy.io.savemat(file, {"Data": images, "labels": np.arange(1200, dtype=np.uint8)[:, None] % 10})
    return file.getvalue()


@contextmanager
def published_hoda() -> Iterator[None]:
    """While entered, this process and its forks take Hoda from a server on 127.0.0.1."""
    body = content()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            for start in range(0, len(body), 10_000):
                self.wfile.write(body[start : start + 10_000])
                time.sleep(0.005)

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:  # whoever fetched was interrupted
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    before = hoda.URL, hoda.MD5, hoda.SHA256
    os.environ["no_proxy"] = "127.0.0.1"
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hoda.URL = f"http://127.0.0.1:{server.server_port}/{hoda.FILE}"
        hoda.MD5, hoda.SHA256 = hashlib.md5(body).hexdigest(), hashlib.sha256(body).hexdigest()
        try:
            yield
        finally:
            hoda.URL, hoda.MD5, hoda.SHA256 = before
            server.shutdown()
