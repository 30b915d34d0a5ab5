"""Downloads and data files that are not what was published, and archives that would write elsewhere or fill memory.

"As published" stands for a publisher that is hostile: then the hash that is known is the hash of what is served.
"""

import contextlib
import gzip
import hashlib
import http.server
import importlib
import io
import json
import os
import pickle
import struct
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from robustness.hostile import Attack, both, write
from robustness.hostile.checkpoints import TOUCH, Call

from dlexp.data.store import FILES

hoda = importlib.import_module("dlexp.data.datasets.hoda")  # the package has a function of this name

CIFAR = "cifar-10-python.tar.gz"
RAW = "data/mnist/MNIST/raw"
FETCHES = {name: (["data", "fetch", name],) for name in ("mnist", "cifar10", "hoda")}
VERIFIES = (["data", "verify", "mnist"], ["train", "dataset=mnist", "epochs=1", "dataset.train_size=100"])


def served(files: dict[str, bytes], patch: Callable[[str], object]) -> Callable[[], object]:
    """Return what serves files from this machine, and lets `patch` say so with the server's address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path.rsplit("/", 1)[-1], b"nothing")
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815 - torchvision looks where it is led first

        def log_message(self, *_: object) -> None:
            pass

    def before() -> None:
        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        patch(f"http://127.0.0.1:{server.server_port}/")

    return before


def cifar(archive: bytes, *, published: bool, batches: dict[str, bytes] | None = None) -> Callable[[], object]:
    def patch(url: str) -> None:
        from torchvision.datasets import CIFAR10

        CIFAR10.url = url + CIFAR
        if published:
            CIFAR10.tgz_md5 = md5(archive)
        for each in ("train_list", "test_list"):
            known = batches or {}
            setattr(CIFAR10, each, [[n, md5(known[n]) if n in known else m] for n, m in getattr(CIFAR10, each)])

    return served({CIFAR: archive}, patch)


def mnist(content: bytes, *, published: bool) -> Callable[[], object]:
    def patch(url: str) -> None:
        from torchvision.datasets import MNIST

        MNIST.mirrors = [url]
        if published:
            MNIST.resources = [(name, md5(content)) for name, _ in MNIST.resources]

    return served(
        {f"{p}-{k}-ubyte.gz": content for p in ("train", "t10k") for k in ("images-idx3", "labels-idx1")}, patch
    )


def persian(content: bytes, *, published: bool) -> Callable[[], object]:
    def patch(url: str) -> None:
        hoda.URL = url + hoda.FILE
        if published:
            hoda.MD5, hoda.SHA256 = md5(content), hashlib.sha256(content).hexdigest()

    return served({hoda.FILE: content}, patch)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def archive(*members: tuple[str, bytes | str]) -> bytes:
    """A tar.gz of files, and of links where the content is a text."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                made.addfile(member)
            else:
                member.size = len(content)
                made.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def npy(header: dict[str, Any], content: bytes = b"") -> bytes:
    text = (repr({"fortran_order": False, "descr": "|u1", **header}) + "\n").encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + content


def laid_out(content: bytes, name: str, *, checked: bool) -> Callable[[Path], object]:
    """MNIST's four files, one of them hostile; with checksums that say so or without."""
    files = {file: saved(np.zeros((60 if "train" in file else 10, *((28, 28, 1) if "inputs" in file else ())),
                                  np.uint8 if "inputs" in file else np.int64)) for file in FILES}  # fmt: skip
    files[name] = content
    sums = json.dumps({file: hashlib.sha256(each).hexdigest() for file, each in files.items()})
    return both(
        *(write(f"data/mnist/{file}", each) for file, each in files.items()),
        *([write("data/mnist/checksums.json", sums)] if checked else []),
    )


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def attacks() -> list[Attack]:
    """Return archives, compressed files and MATLAB files as downloads and in place, and .npy files."""
    up = "../../../outside/pwned"
    archives = {
        "paths that go up": archive((up, b"x"), ("cifar-10-batches-py/../../../../outside/pwned", b"x")),
        "a link, and a file through it": archive(("x", "../../../outside"), ("x/pwned", b"x")),
        "a batch that is a link": archive(("cifar-10-batches-py/data_batch_1", "../../../../outside/precious")),
        "no archive": b"x" * 1000,
    }
    evil = pickle.dumps(Call(os.system, TOUCH), 2)
    batches = dict.fromkeys((*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"), evil)
    pickled = archive(*((f"cifar-10-batches-py/{name}", content) for name, content in batches.items()))
    idx = b"\0\0\x08\3" + struct.pack(">iii", 2**30, 2**10, 2**10)
    gzips = {
        "4 GiB of zeros": b"".join([gzip.compress(b"\0\0\x08\1" + struct.pack(">i", 2**31 - 1)),
                                    *[gzip.compress(bytes(2**26))] * 64]),
        "a header of 2⁵⁰ pixels": gzip.compress(idx),
        "a header of 255 dimensions": gzip.compress(b"\0\0\x08\xff"),
        "nothing": gzip.compress(b""),
        "no gzip": b"x" * 1000,
    }  # fmt: skip
    objects = np.array([Call(os.system, TOUCH)], object)
    arrays = {
        "pickled objects": saved(objects),
        "a header of 10¹⁵ pixels": npy({"shape": (10**15, 28, 28, 1)}),
        "a header of a negative size": npy({"shape": (-1, 28, 28, 1)}),
        "a header that is a call": npy({"shape": f"__import__('os').system('{TOUCH}')"}),
        "no array": b"x" * 100,
        "other shapes": saved(np.zeros((7, 3), np.float64)),
        "a queue": b"",
    }
    labels = saved(np.full(60, 10**9, np.int64))
    fetch = FETCHES
    return [
        *(Attack(f"cifar10, downloaded: {what}", fetch["cifar10"], codes=(1,), before=cifar(each, published=False))
          for what, each in archives.items()),
        *(Attack(f"cifar10, as published: {what}", fetch["cifar10"], codes=(1,), before=cifar(each, published=True))
          for what, each in archives.items()),
        Attack("cifar10, as published: batches that call", fetch["cifar10"], codes=(1,),
               before=cifar(pickled, published=True, batches=batches)),
        Attack("cifar10, in place: batches that call", fetch["cifar10"], codes=(1,), before=cifar(b"", published=False),
               lay_out=both(*(write(f"data/cifar10/cifar-10-batches-py/{n}", c) for n, c in batches.items()))),
        Attack("cifar10, in place: a link to be overwritten", fetch["cifar10"], codes=(1,),
               before=cifar(b"other", published=False), lay_out=linked(f"data/cifar10/{CIFAR}")),
        *(Attack(f"mnist, downloaded: {what}", fetch["mnist"], codes=(1,), before=mnist(each, published=False))
          for what, each in gzips.items()),
        *(Attack(f"mnist, as published: {what}", fetch["mnist"], codes=(1,), before=mnist(each, published=True))
          for what, each in gzips.items()),
        Attack("mnist, in place: links to be overwritten", fetch["mnist"], codes=(1,),
               before=mnist(b"other", published=False),
               lay_out=both(*(linked(f"{RAW}/{p}-{k}-ubyte.gz") for p in ("train", "t10k")
                              for k in ("images-idx3", "labels-idx1")))),
        *(Attack(f"hoda, {'as published' if published else 'downloaded'}: {what}", fetch["hoda"], codes=(1,),
                 before=persian(content, published=published))
          for published in (False, True)
          for what, content in {"no MATLAB file": b"x" * 1000, "MATLAB's header alone": b"MATLAB 5.0".ljust(124)
                                + b"\0\1IM", "an object": evil}.items()),
        Attack("hoda, in place: a link to be overwritten", fetch["hoda"], codes=(1,),
               before=persian(b"other", published=False), lay_out=linked(f"data/hoda/{hoda.FILE}")),
        *(Attack(f"data files, {'checked' if checked else 'unchecked'}: {what}", VERIFIES,
                 laid_out(each, "train_inputs.npy", checked=checked), codes=(1, 2))
          for checked in (False, True) for what, each in arrays.items()),
        Attack("data files, checked: labels of no class", VERIFIES,
               laid_out(labels, "train_targets.npy", checked=True)),
        *(Attack(f"checksums: {what}", VERIFIES, both(laid_out(labels, "train_targets.npy", checked=True),
                                                     write("data/mnist/checksums.json", text)))
          for what, text in {"no object": "[1]", "deep": "[" * 100_000, "others": '{"../x": "y"}'}.items()),
    ]  # fmt: skip


def linked(path: str) -> Callable[[Path], object]:
    def lay_out(work: Path) -> None:
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).symlink_to(work.parent / "outside" / "precious")

    return lay_out
