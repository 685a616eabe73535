"""Every classifier, each under a path of its own: what is at `/` for the default one is at /classifiers/NAME/ for each.

Each has its gate, its switches and its folder, so a switch of one stops no request of another. They share the cores,
and a version that two of them serve is loaded once. The release desk says which there are; a restart finds their
folders.
"""

import gc
import logging
import re
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request

from mlops_contract.addresses import below, split
from mlops_contract.web import require_token
from model_endpoint.errors import InvalidInput, UnknownModel
from model_endpoint.incoming import body
from model_endpoint.predict import parse_object
from model_endpoint.server import Server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
BELOW = "/classifiers/"
BY_NAME = "/v2/models/"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class One:
    """A classifier's server, and the application that answers for it."""

    server: Server
    application: "WSGIApplication"


class Classifiers:
    """WSGI middleware around the default classifier's application. `make` makes one such application for a server."""

    def __init__(
        self, root: Server, application: "WSGIApplication", make: Callable[[Server], "WSGIApplication"]
    ) -> None:
        self.root = root
        self.application = application
        self.folder: Path = root.settings.cache / "classifiers"
        self._make = make
        self._all: dict[str, One] = {}
        self._default = ""
        self._notes: dict[str, str] = {}
        self._digest: str | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Serves those that were served before; each joins the others by itself."""
        names = [found.name for found in sorted(self.folder.glob("*")) if NAME.fullmatch(found.name)]
        self.keep(names, self._default, {})

    def keep(self, names: Iterable[str], default: str, notes: dict[str, str], digest: str | None = None) -> None:
        """Serves these from now on, and no others; `notes` say what people should know of each.

        `digest`: of all that, by which the release desk sees what it need not say again.
        """
        wanted = set(names)
        with self._lock:
            new, gone = wanted - self._all.keys(), self._all.keys() - wanted
            for name in new:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            opened = {name: self._open(name) for name in sorted(new)}
            closed = [self._all[name] for name in gone]
            self._all = {name: one for name, one in {**self._all, **opened}.items() if name in wanted}
            self._default, self._notes, self._digest = default, notes, digest
        if opened:
            # Python's collector stops everybody while it looks at what there is: 50 ms at twenty applications, which
            # stay anyway. From now on it looks at newer things only.
            gc.freeze()
        for one in opened.values():
            one.server.joiner.start()
        for one in closed:
            one.server.joiner.stop()
            one.server.replica.stop()
        for name in gone:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def lent(self, loans: dict[str, Any]) -> dict[str, Any]:
        """What the release desk brings to each path, '' and /classifiers/NAME, and what is said there to it."""
        servers = self._servers()
        told = {
            path: servers[path].replica.lent(*map(loan.get, ("key", "replica", "clock")))
            for path, loan in loans.items()
            if path in servers and isinstance(loan, dict)
        }
        if "" in told:
            told[""]["classifiers"] = self._digest
        return told

    def describe(self) -> dict[str, Any]:
        """What `GET /models` answers at each path."""
        return {path: server.replica.describe() for path, server in self._servers().items()}

    def _servers(self) -> dict[str, Server]:
        return {"": self.root, **{BELOW + name: one.server for name, one in self._all.items()}}

    def told(self) -> list[dict[str, Any]]:
        """What everybody may know of each: its name, whether it is the default one, what is served, and its note."""
        return [
            {
                "name": name,
                "default": name == self._default,
                "model": one.server.model(),
                "note": self._notes.get(name, ""),
            }
            for name, one in sorted(self._all.items())
        ]

    def of_model(self, model_name: str) -> str:
        """The classifier that serves the model of that name; the same name where none is known to."""
        known = self._all
        for name in (self._default, *known):
            served = known[name].server.replica.slot.current if name in known else None
            if served and served.version.name == model_name:
                return name
        return model_name

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if path.startswith(BELOW):
            name, slash, rest = path.removeprefix(BELOW).partition("/")
            one = self._all.get(name)
            if one is not None and not slash:
                # A page's own links would lead elsewhere.
                start_response("308 PERMANENT REDIRECT", [("Location", f"{name}/"), ("Content-Length", "0")])
                return [b""]
            if one is not None:
                home = environ.get("SCRIPT_NAME", "") + BELOW + name
                return one.application({**environ, "SCRIPT_NAME": home, "PATH_INFO": f"/{rest}"}, start_response)
        elif path.startswith(BY_NAME):
            name, slash, rest = path.removeprefix(BY_NAME).partition("/")
            found = self._by_model(name)
            if found is not None:
                one, model_name = found
                changed = {**environ, "PATH_INFO": f"{BY_NAME}{model_name}{slash}{rest}"}
                return one.application(changed, start_response)
        return self.application(environ, start_response)

    def _by_model(self, name: str) -> tuple[One, str] | None:
        """Who serves the model of that name, or the classifier of that name; and the model's name."""
        for one in self._all.values():
            model = one.server.model()
            if model and model["name"] == name:
                return one, name
        one_of_it = self._all.get(name)
        model = one_of_it.server.model() if one_of_it else None
        return (one_of_it, model["name"] if model else name) if one_of_it else None

    def _open(self, name: str) -> One:
        settings = self.root.settings
        endpoints = ",".join(below(part, f"{BELOW}{name}") for part in split(settings.endpoints))
        own = replace(settings, model_name=name, cache=self.folder / name, endpoints=endpoints)
        server = Server(own, self.root, BELOW + name)
        return One(server, self._make(server))


def install(app: Flask, classifiers: Classifiers) -> None:
    """Adds the routes that speak of all of them."""
    settings = classifiers.root.settings

    @app.get("/classifiers")
    def listed() -> Response:
        return jsonify({"classifiers": classifiers.told()})

    @app.post("/models/classifiers")
    def keep() -> Response:
        require_token(settings.token)
        found = parse_object(body(), {"names", "default", "notes", "digest"})
        names, default, notes, digest = map(found.get, ("names", "default", "notes", "digest"))
        if not isinstance(names, list) or not all(isinstance(name, str) and NAME.fullmatch(name) for name in names):
            raise InvalidInput('"names" must be a list of classifiers\' names.')
        notes = {name: str(note) for name, note in notes.items()} if isinstance(notes, dict) else {}
        classifiers.keep(names, default if isinstance(default, str) else "", notes, digest)
        return jsonify({"classifiers": classifiers.told()})

    @app.get("/models/all")
    def everything() -> Response:
        require_token(settings.token)
        return jsonify(classifiers.describe())

    @app.post("/models/lend")
    def lend() -> Response:
        require_token(settings.token)
        loans = parse_object(body(), {"loans"}).get("loans")
        if not isinstance(loans, dict):
            raise InvalidInput('"loans" must be an object.')
        return jsonify({"loans": classifiers.lent(loans)})

    @app.before_request
    def known() -> None:
        if request.path.startswith(BELOW):
            name = request.path.removeprefix(BELOW).partition("/")[0]
            raise UnknownModel(f"There is no classifier {name[:60]!r}: GET /classifiers lists them.")

    @app.post("/v2/repository/index")
    def repository_index() -> Response:
        models = [told["model"] for told in classifiers.told() if told["model"]] or [classifiers.root.model()]
        return jsonify(
            [{"name": one["name"], "version": one["version"], "state": "READY", "reason": ""} for one in models if one]
        )
