"""A small stand-in for the Hugging Face hub: enough of its HTTP for `datasets`, `huggingface_hub` and `transformers`.

Point HF_ENDPOINT at it. A repository is a folder; a gated one answers 401 until a request carries the token.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the stand-in serves, and what it was asked."""

    url: str = ""
    token: str = "hf_right"
    models: dict[str, Path] = field(default_factory=dict)
    datasets: dict[str, Path] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    """`METHOD path` of each request, in order."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make the hub's libraries use the stand-in alone."""
        return {"HF_ENDPOINT": self.url, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}


@contextmanager
def serve() -> Iterator[Hub]:
    """Runs the stand-in on a free port of the loopback address."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, body: bytes = b"") -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        kind, name, folder, rest = self._repository(path)
        authorization = self.headers.get("Authorization", "")
        if authorization and authorization != f"Bearer {self.hub.token}":
            self._error(401, "", "Invalid username or password.")
        elif folder is None:
            self._error(404 if authorization else 401, "RepoNotFound", "Repository not found")
        elif name in self.hub.gated and not authorization and not rest.startswith("api"):
            self._error(401, "GatedRepo", f"Access to {kind} {name} is restricted. You must have access to it.")
        elif rest.startswith("resolve/"):
            self._file(folder, rest.split("/", 2)[2])
        elif rest.startswith("api/tree/"):
            below = rest.split("/", 3)[3] if rest.count("/") > 2 else ""
            self._json(_entries(folder, below, recursive="recursive=true" in self.path.lower()))
        elif rest.startswith("api/paths-info/"):
            wanted = json.loads(body)["paths"] if body.startswith(b"{") else []
            self._json([entry for entry in _entries(folder) if entry["path"] in wanted])
        elif rest == "api" or rest.startswith("api/revision/"):
            self._json(_info(name, folder, name in self.hub.gated))
        else:
            self._error(404, "EntryNotFound", f"no {rest} here")

    def _repository(self, path: str) -> tuple[str, str, Path | None, str]:
        """Kind, name, folder and what is asked of it: `api…` or `resolve/…`."""
        parts = path.strip("/").split("/")
        api = parts[0] == "api"
        parts = parts[1:] if api else parts
        kind = "model"
        if parts and parts[0] in ("datasets", "models"):
            kind = parts.pop(0)[:-1]
        known = self.hub.datasets if kind == "dataset" else self.hub.models
        name, rest = "/".join(parts[:2]), "/".join(parts[2:])
        return kind, name, known.get(name), f"api/{rest}".rstrip("/") if api else rest

    def _file(self, folder: Path, name: str) -> None:
        file = folder / name
        if not file.is_file():
            self._error(404, "EntryNotFound", f"no file {name} here")
            return
        content = file.read_bytes()
        self._send(200, content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT})

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._send(status, json.dumps({"error": message}).encode(), {"Content-Type": "application/json", **headers})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _entries(folder: Path, below: str = "", recursive: bool = True) -> list[dict[str, Any]]:
    """The files and folders below one of the repository's folders, as the hub lists them."""
    result: list[dict[str, Any]] = []
    for path in sorted((folder / below).rglob("*") if recursive else (folder / below).glob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            result.append({"type": "directory", "path": name, "oid": COMMIT, "size": 0})
        else:
            digest = hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
            result.append({"type": "file", "path": name, "oid": digest, "size": path.stat().st_size})
    return result


def _info(name: str, folder: Path, gated: bool) -> dict[str, Any]:
    files = [{"rfilename": entry["path"]} for entry in _entries(folder) if entry["type"] == "file"]
    return {
        "_id": "1", "id": name, "author": name.partition("/")[0], "sha": COMMIT, "private": False,
        "gated": "manual" if gated else False, "disabled": False, "downloads": 1, "likes": 1, "tags": [],
        "lastModified": "2026-01-01T00:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z", "siblings": files,
    }  # fmt: skip


def tiny_model(folder: Path) -> None:
    """Writes a DistilBERT with random weights and two layers, and its tokenizer: a base model of some kilobytes."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import DistilBertConfig, DistilBertForSequenceClassification, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = {word: number for number, word in enumerate([*special, "a", "fine", "dull", "film"])}
    inner = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    tokenizer: Any = PreTrainedTokenizerFast
    tokenizer(tokenizer_object=inner, model_max_length=32, **names).save_pretrained(folder)
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=len(words), dim=16, hidden_dim=32, n_heads=2, n_layers=2, max_position_embeddings=32
    )
    DistilBertForSequenceClassification(config).save_pretrained(folder)
