"""The systems that are compared: how each is installed, started and asked. Two replicas each, behind nginx."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import requests

from native.layout import nginx_program
from tests.services import ROOT, free_port, process, wait_until

PEERS = Path(__file__).parent / "peers"
VENVS = ROOT / ".platform/bench"
Body = Callable[[list[str]], object]
QUIET = {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "BENTOML_DO_NOT_TRACK": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


@dataclass(frozen=True)
class System:
    """`packages` go into a virtual environment of its own; `command` starts one replica on PORT."""

    name: str
    packages: list[str]
    command: list[str]
    path: str
    body: Body
    health: str
    ours: bool = False
    """Whether it also needs this project's packages (PyTorch, transformers, mlflow)."""
    replicas: int = 2
    form: str = ""
    """Of the ONNX file that it runs; empty: the one that we serve."""
    keepalive: bool = True
    """Whether nginx may keep connections to it: uwsgi's HTTP socket closes each without saying so."""

    @property
    def label(self) -> str:
        return f"{self.name} {self.form}".strip()

    @property
    def python(self) -> Path:
        return VENVS / self.name / "bin/python" if self.packages else Path(sys.executable)

    def install(self) -> None:
        """Makes the virtual environment, once for the same packages."""
        done = VENVS / self.name / "done"
        if not self.packages or (done.exists() and done.read_text() == " ".join(self.packages)):
            return
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENVS / self.name], check=True)
        subprocess.run([self.python, "-m", "pip", "install", "--quiet", *self.packages], check=True)
        if self.ours:
            target = next((VENVS / self.name / "lib").glob("python3*/site-packages"))
            (target / "platform.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        done.write_text(" ".join(self.packages))

    @contextmanager
    def running(self, model: Path, folder: Path) -> Iterator[tuple[str, list[int]]]:
        """Starts the replicas and nginx; yields the URL to ask, and the processes' ids."""
        with ExitStack() as stack:
            ports, children = [free_port() for _ in range(self.replicas)], []
            for port in ports:
                home = folder / f"{self.name}-{port}"
                home.mkdir(parents=True)
                if (PEERS / self.name).is_dir():
                    shutil.copytree(PEERS / self.name, home / self.name)
                words = {"PORT": str(port), "MODEL": str(model), "PYTHON": str(self.python), "PEERS": str(PEERS)}
                command = [words.get(word, word.replace(":PORT", f":{port}")) for word in self.command]
                paths = [str(self.python.parent), str(Path(sys.executable).parent), os.environ["PATH"]]
                variables = {
                    **QUIET,
                    "BENCH_MODEL": str(model),
                    "BENCH_FORM": self.form,
                    "PATH": ":".join(paths),
                    "PYTHONPATH": str(PEERS),
                }
                if self.name == "mlserver":
                    extra = {"MLSERVER_HTTP_PORT": port, "MLSERVER_GRPC_PORT": free_port(), "MLSERVER_METRICS_PORT": 0}
                    variables |= {name: str(value or free_port()) for name, value in extra.items()}
                    variables |= {"MLSERVER_PARALLEL_WORKERS": "0", "MLSERVER_HOST": "127.0.0.1"}
                    variables["PYTHONPATH"] = f"{home / self.name}:{PEERS}"
                    command[-1] = str(home / self.name)
                children.append(stack.enter_context(process(command, folder / f"{self.name}.log", variables)).pid)
            for port in ports:
                try:
                    wait_until("it answers", partial(_answers, f"http://127.0.0.1:{port}{self.health}"), 180, 0.5)
                except AssertionError as error:
                    log = (folder / f"{self.name}.log").read_text(errors="replace")
                    raise RuntimeError(f"{self.name} does not answer; its log ends with\n{log[-3000:]}") from error
            yield stack.enter_context(plain_nginx(ports, folder, self.keepalive)) + self.path, children


def _answers(url: str) -> bool:
    return requests.get(url, timeout=2).ok


@contextmanager
def plain_nginx(ports: list[int], folder: Path, keepalive: bool) -> Iterator[str]:
    """nginx with nothing but keep-alive to the replicas, which it never takes for dead; yields its URL."""
    port = free_port()
    home = folder / f"nginx-{port}"
    home.mkdir(parents=True)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {home};" for kind in kinds)
    servers = " ".join(f"server 127.0.0.1:{one} max_fails=0;" for one in ports)
    kept = 'proxy_http_version 1.1; proxy_set_header Connection "";' if keepalive else ""
    (home / "nginx.conf").write_text(
        f"""daemon off; worker_processes auto; pid {home}/pid; error_log {home}/error.log;
        events {{ worker_connections 1024; }}
        http {{ access_log off; {temporary}
          upstream replicas {{ least_conn; {servers} keepalive 64; }}
          server {{ listen 127.0.0.1:{port}; client_max_body_size 8m; location / {{
            proxy_pass http://replicas; {kept} proxy_read_timeout 120s; }} }} }}"""
    )
    nginx = nginx_program()
    if nginx is None:
        raise RuntimeError("There is no nginx: sh native/nginx.sh unpacks one.")
    with process([nginx, "-e", f"{home}/error.log", "-c", f"{home}/nginx.conf"], home / "log"):
        wait_until("nginx answers", lambda: requests.get(f"http://127.0.0.1:{port}/", timeout=60).status_code > 0, 90)
        yield f"http://127.0.0.1:{port}"


def v2(texts: list[str]) -> object:
    """A request in the Open Inference Protocol."""
    return {"inputs": [{"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}]}


SERVING = [f"{package}=={version(package)}" for package in ("onnxruntime", "tokenizers")]
UWSGI = "--processes 4 --threads 2 --lazy-apps --master --die-on-term --http-keepalive --disable-logging"
MLSERVER = System(
    name="mlserver",
    packages=["mlserver==1.7.1", "uvloop<0.22", *SERVING],
    command=["PYTHON", "-m", "mlserver.cli.main", "start", "FOLDER"],
    path="/v2/models/text-classifier/infer",
    body=v2,
    health="/v2/health/ready",
)
SYSTEMS = [
    System(
        name="old",
        packages=["pyuwsgi==2.0.30.post1"],
        command=[
            "PYTHON",
            "-c",
            "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])",
            "--http-socket",
            "127.0.0.1:PORT",
            *UWSGI.split(),
            "--pythonpath",
            "PEERS",
            "--module",
            "old",
        ],
        path="/predict",
        body=lambda texts: {"input": texts},
        health="/health",
        ours=True,
        keepalive=False,
    ),
    System(
        name="mlflow",
        packages=[],
        command=[
            "PYTHON",
            "-m",
            "mlflow",
            "models",
            "serve",
            "--model-uri",
            "MODEL",
            "--env-manager",
            "local",
            "--host",
            "127.0.0.1",
            "--port",
            "PORT",
            "--workers",
            "1",
        ],
        path="/invocations",
        body=lambda texts: {"inputs": texts},
        health="/ping",
    ),
    MLSERVER,
    replace(MLSERVER, form="fp32"),
    System(
        name="bentoml",
        packages=["bentoml==1.4.40", *SERVING],
        command=[
            "PYTHON",
            "-m",
            "bentoml",
            "serve",
            "bento:Service",
            "--working-dir",
            "PEERS",
            "--host",
            "127.0.0.1",
            "--port",
            "PORT",
        ],
        path="/predict",
        body=lambda texts: {"texts": texts},
        health="/healthz",
    ),
    System(
        name="litserve",
        packages=["litserve==0.2.19", *SERVING],
        command=["PYTHON", str(PEERS / "lit.py"), "PORT"],
        path="/predict",
        body=lambda texts: {"input": texts},
        health="/health",
    ),
    System(
        name="ray",
        packages=["ray[serve]==2.60.0", *SERVING],
        command=["PYTHON", str(PEERS / "rayserve.py"), "PORT"],
        path="/",
        body=lambda texts: {"input": texts},
        health="/-/healthz",
        replicas=1,
    ),
]
