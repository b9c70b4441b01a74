"""A server on this computer that speaks as much of the hub's protocol as its client needs to download a dataset."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_token_of_the_test"

_LISTING = re.compile(r"/api/datasets/(?P<repo>[^/]+/[^/]+)/revision/(?P<revision>[^/]+)")
_FILE = re.compile(r"/datasets/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")


def commit_of(text: str) -> str:
    """Something that looks like a commit."""
    return hashlib.sha1(text.encode()).hexdigest()


@dataclass
class Repo:
    """A dataset repository.

    Attributes:
        files: content by name.
        large: names of the files that are stored outside of git: the listing has their SHA-256.
        revisions: commit by branch or tag.
        gated: only with TOKEN.
        listed: content by name, as the listing describes it, where that is not what is sent.
    """

    files: dict[str, bytes]
    large: set[str] = field(default_factory=set)
    revisions: dict[str, str] = field(default_factory=lambda: {"main": commit_of("main")})
    gated: bool = False
    listed: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Seen:
    """A request that was made."""

    method: str
    path: str
    range: str
    status: int


@dataclass
class Hub:
    """What the server has, does wrong, and was asked.

    Attributes:
        repos: by id.
        cut: bytes after which the connection of the next download of a file is cut, by file name; used once.
        busy: how often "too many requests" is answered first, by method and kind (``GET listing``, ``GET file``, …).
        vanished: names that are listed, but not there.
        seen: requests, in order.
    """

    endpoint: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    busy: dict[str, int] = field(default_factory=dict)
    vanished: set[str] = field(default_factory=set)
    seen: list[Seen] = field(default_factory=list)

    def downloads(self, name: str) -> list[Seen]:
        """Requests for the content of a file."""
        return [each for each in self.seen if each.method == "GET" and each.path.endswith(f"/{name}")]


@contextlib.contextmanager
def serve() -> Iterator[Hub]:
    """Serve a hub on a free port of the loopback interface."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def lit_cn(generated: Path) -> Repo:
    """The repository of LIT-CN, with the content of the miniature suite."""
    folder = generated / "LIT-CN"
    captions = (folder / "image_caption_long_cn.txt").read_bytes()
    files = {"image_caption_long_cn.txt": captions, "images.zip": zipped(folder / "images"), "README.md": b"# LIT-CN"}
    return Repo(files, large={"images.zip"})


def zipped(folder: Path) -> bytes:
    """A zip archive of the files in a folder, below its name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"{folder.name}/{path.name}")
    return buffer.getvalue()


def environment(hub: Hub, home: Path, **more: str) -> dict[str, str]:
    """Environment of a process that downloads from this hub only, and leaves the user's caches alone."""
    dropped = (
        "HF_",
        "HUGGING",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "COLUMNS",
        "FGBENCH_",
        "TRANSFORMERS_OFFLINE",
    )
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(dropped)}
    return {
        **kept,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(home / "hf"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_ETAG_TIMEOUT": "5",
        "NO_PROXY": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
        **more,
    }


_CLIENT = """
import json, shutil, sys
from collections import namedtuple
from pathlib import Path
task = json.loads(sys.argv[1])
if task["free"] is not None:
    usage = namedtuple("usage", "total used free")
    shutil.disk_usage = lambda path: usage(10**12, 0, task["free"])
from fgbench.data.hub import fetch
from fgbench.errors import FgbenchError
from fgbench.spec import HubSource
said = []
try:
    done = fetch(HubSource(**task["source"]), Path(task["root"]), task["revision"], said.append)
    answer = {name: value for name, value in vars(done).items() if name != "folder"}
except FgbenchError as error:
    answer = {"error": type(error).__name__, "message": str(error)}
print(json.dumps({**answer, "said": said}))
"""


def run_fetch(
    hub: Hub,
    root: Path,
    source: dict[str, Any],
    *,
    revision: str | None = None,
    free: int | None = None,
    **variables: str,
) -> dict[str, Any]:
    """Call :func:`fgbench.data.hub.fetch` in a process of its own: the client reads its environment when imported.

    Args:
        hub: where to download from.
        root: data root; caches go beside it.
        source: fields of the HubSource.
        revision: passed on.
        free: bytes that the disk claims to have left.
        variables: more of the environment.

    Returns:
        The fields of the result, or ``error`` and ``message``; and ``said``.
    """
    task = {"source": source, "root": str(root), "revision": revision, "free": free}
    done = subprocess.run(
        [sys.executable, "-c", _CLIENT, json.dumps(task)],
        env=environment(hub, root.parent / "home", **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """The requests are kept in ``seen`` instead."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        listing, file = _LISTING.fullmatch(path), _FILE.fullmatch(path)
        kind = f"{self.command} {'listing' if listing else 'file'}"
        match = listing or file
        repo = self.state.repos.get(match["repo"]) if match else None
        if self.state.busy.get(kind, 0) > 0:
            self.state.busy[kind] -= 1
            self._send(429, {"Retry-After": "0"}, b"slow down")
        elif match is None or repo is None:
            self._send(404, {"X-Error-Code": "RepoNotFound"}, b"no such repository")
        elif repo.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(403, {"X-Error-Code": "GatedRepo"}, b"ask for access")
        elif match["revision"] not in (*repo.revisions, *repo.revisions.values()):
            self._send(404, {"X-Error-Code": "RevisionNotFound"}, b"no such revision")
        else:
            commit = repo.revisions.get(match["revision"], match["revision"])
            if listing:
                self._listing(match["repo"], repo, commit)
            else:
                self._file(repo, commit, match["name"], body=body)

    def _listing(self, name: str, repo: Repo, commit: str) -> None:
        siblings = []
        for each, sent in repo.files.items():
            content = repo.listed.get(each, sent)
            row: dict[str, Any] = {"rfilename": each, "size": len(content), "blobId": _git_blob(content)}
            if each in repo.large:
                row["lfs"] = {"sha256": _sha256(content), "size": len(content), "pointerSize": 130}
            siblings.append(row)
        row = {
            "id": name,
            "sha": commit,
            "siblings": siblings,
            "private": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
        }
        self._send(200, {"Content-Type": "application/json"}, json.dumps(row).encode())

    def _file(self, repo: Repo, commit: str, name: str, *, body: bool) -> None:
        if name not in repo.files or name in self.state.vanished:
            self._send(404, {"X-Error-Code": "EntryNotFound"}, b"no such file")
            return
        content = repo.files[name]
        listed = repo.listed.get(name, content)
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes", "ETag": f'"{_git_blob(listed)}"'}
        if name in repo.large:
            headers |= {"ETag": f'"{_sha256(listed)}"', "X-Linked-Etag": f'"{_sha256(listed)}"'}
            headers["X-Linked-Size"] = str(len(content))
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        cut = self.state.cut.pop(name, None) if body else None
        self._send(206 if start else 200, headers, content[start:], cut=cut)

    def _send(self, status: int, headers: dict[str, str], content: bytes, cut: int | None = None) -> None:
        self.state.seen.append(
            Seen(self.command, unquote(urlsplit(self.path).path), self.headers.get("Range", ""), status)
        )
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            with contextlib.suppress(ConnectionError):
                self.wfile.write(content[:cut])
        if cut is not None:
            self.close_connection = True


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
