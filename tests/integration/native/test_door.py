"""The public door without containers: the real template under a real nginx, with a certificate made on the spot."""

import os
import ssl
import subprocess
from pathlib import Path

import pytest
import requests
from dotenv import dotenv_values

from native import nginx
from native.health import answers
from native.layout import ROOT, Layout, nginx_program
from tests.services import free_port, process, wait_until


def layout(**settings: str) -> Layout:
    program = nginx_program()
    if program is None:
        pytest.skip("there is no nginx on this machine")
    example = {name: value or "" for name, value in dotenv_values(ROOT / ".env.example").items()}
    return Layout({**example, "NGINX_PORT": str(free_port()), **settings}, {"model-endpoint-1": free_port()}, program)


def self_signed(NGINX_CERTIFICATE: Path, NGINX_KEY: Path) -> None:  # noqa: N803 - the names of the settings
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "20", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", NGINX_KEY, "-out", NGINX_CERTIFICATE],
        check=True, capture_output=True,
    )  # fmt: skip


def doctor(here: Layout) -> str:
    """What it says of the certificate."""
    parts = "".join(f". launch/{name}.sh; " for name in ("words", "settings", "checks", "doctor"))
    given = {name: here.settings[name] for name in ("NGINX_CERTIFICATE", "NGINX_KEY", "NGINX_PORT")}
    return subprocess.run(
        ["sh", "-euc", f"{parts} look_at_certificate"], cwd=ROOT, env={**os.environ, **given},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def test_a_certificate_and_its_key_make_the_door_speak_https(tmp_path: Path) -> None:
    folder = tmp_path / "my certificate"
    folder.mkdir()
    files = {"NGINX_CERTIFICATE": folder / "certificate.pem", "NGINX_KEY": folder / "key.pem"}
    self_signed(**files)
    here = layout(**{name: os.path.relpath(path, ROOT) for name, path in files.items()})
    assert here.door.startswith("https://127.0.0.1:")
    (tmp_path / "nginx.conf").write_text(nginx.configuration(here))
    command = [str(here.nginx), "-e", "stderr", "-p", f"{tmp_path}/", "-c", str(tmp_path / "nginx.conf")]
    with process(command, tmp_path / "log"):
        wait_until("the health check takes any certificate", answers(f"{here.door}/nginx-health"), 10)
        verified = requests.get(f"{here.door}/nginx-health", verify=str(files["NGINX_CERTIFICATE"]), timeout=5)
        assert verified.text == "up\n"
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{here.door}/nginx-health", timeout=5)
        plain = requests.get(here.door.replace("https", "http"), timeout=5)
        assert plain.status_code == 400 and plain.json()["error"]["code"] == "https_only"
        assert (
            ssl.get_server_certificate(("127.0.0.1", here.port("NGINX_PORT"))) in files["NGINX_CERTIFICATE"].read_text()
        )
        assert "ok|certificate|good until" in doctor(here)
        self_signed(**files)
        assert "warning|certificate|nginx still uses the one before" in doctor(here)
    assert "ok|certificate|good until" in doctor(here), "of an nginx that does not run nothing is known"
