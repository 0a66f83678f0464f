"""A copy of the package whose mirrors are a server of this machine: what downloads, runs for real on small files.

The copy's tables name this server: a split of eight images, an archive of them, and `.caffemodel` files of narrow
networks. Everything else is the package: download, consent, canonical store, evaluation, board.

    python -m tests.mirrors FOLDER DOWNLOADS     makes the copy, serves until standard input ends
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fcnbench.datasets.splits import published_split
from fcnbench.models.fcn.fcn import AT_ONCE, FCN
from fcnbench.models.weights.load import randomise
from fcnbench.models.weights.published import published
from fcnbench.util.digests import digest_lines
from tests.conftest import REPOSITORY
from tests.datasets import native
from tests.models.fcn.nets import NARROW
from tests.models.weights.caffemodel import caffemodel
from tests.models.weights.test_caffe import written

ARCHIVE = "VOCtrainval_11-May-2012.tar"
IDS = published_split("seg11valid").ids[:8]
STRIDES = {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8, "fcn8s-atonce": 8}
"""The networks whose published weights are served, and their strides."""

NARROW_NETWORKS = """

from fcnbench.models.fcn.vgg import VGGTrunk  # noqa: E402

_NARROW = VGGTrunk(widths=(2, 2, 2, 2, 2), depths=(2, 2, 3, 3, 3), fc_kernel=7, fc_width=4, pad=100)
DEFINITIONS |= {
    "fcn32s": Definition(lambda classes: FCN(classes, 32, _NARROW), 21),
    "fcn16s": Definition(lambda classes: FCN(classes, 16, _NARROW), 21),
    "fcn8s": Definition(lambda classes: FCN(classes, 8, _NARROW), 21),
    "fcn8s-atonce": Definition(lambda classes: FCN(classes, 8, _NARROW, scales=AT_ONCE), 21),
}
"""


@dataclass(frozen=True)
class Mirrored:
    """The copy, and what its mirrors serve.

    Attributes:
        root: folder of the copy: `fcnbench/` and `benchmarks/`; put it first on PYTHONPATH.
        served: folder of the files that the mirrors have.
    """

    root: Path
    served: Path

    def rewrite(self, name: str, *changes: tuple[str, str]) -> None:
        """Replace text of the copy by regular expressions; each must be found."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        for pattern, replacement in changes:
            text, found = re.subn(pattern, replacement, text, flags=re.DOTALL)
            assert found, (name, pattern)
        path.write_text(text, encoding="utf-8")


@contextmanager
def mirrored(folder: Path) -> Iterator[Mirrored]:
    """Make the copy below a folder, and serve its files inside the block."""
    made = Mirrored(folder / "checkout", folder / "served")
    for name in ("fcnbench", "benchmarks"):
        shutil.copytree(REPOSITORY / name, made.root / name, ignore=shutil.ignore_patterns("__pycache__"))
    with (made.root / "fcnbench/models/fcn/zoo.py").open("a", encoding="utf-8") as stream:
        stream.write(NARROW_NETWORKS)
    (made.root / "fcnbench/datasets/splits/seg11valid.txt").write_bytes(native.listing(IDS))
    made.rewrite(
        "fcnbench/datasets/splits/SPLITS.toml",
        (
            r'\[seg11valid\]\nsha256 = "[^"]+"\nimages = 736',
            f'[seg11valid]\nsha256 = "{digest_lines(IDS)}"\nimages = {len(IDS)}',
        ),
    )
    with serving(made.served) as url:
        archive = native.tar(native.voc(IDS), made.served / ARCHIVE)
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        made.rewrite(
            "fcnbench/datasets/archive/ARCHIVES.toml",
            (
                r"(\[voc2012trainval\]\nfile = [^\n]+\n).*?\nterms",
                rf'\1size = {archive.stat().st_size}\nsha256 = "{digest}"\nurls = ["{url}/{archive.name}"]\nterms',
            ),
        )
        for model, stride in STRIDES.items():
            entry = next(entry for entry in published().values() if entry.model == model)
            net = FCN(21, stride, NARROW, scales=AT_ONCE if model == "fcn8s-atonce" else None)
            randomise(net, stride)
            content = caffemodel(written(net))
            (made.served / entry.archive.file).write_bytes(content)
            made.rewrite(
                "fcnbench/models/weights/WEIGHTS.toml",
                (
                    rf"(\[{entry.name}\].*?)approximate_size.*?(licence)",
                    rf"\1approximate_size = {len(content)}\n"
                    rf'urls = ["{url}/{entry.archive.file}"]\nsha1 = "{hashlib.sha1(content).hexdigest()}"\n\2',
                ),
            )
        yield made


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of the loopback; gives its address."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Serve until standard input ends; the files also lie in a folder, as if a person had downloaded them."""
    folder, downloads = map(Path, sys.argv[1:])
    with mirrored(folder) as made:
        shutil.copytree(made.served, downloads)
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
