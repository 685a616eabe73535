"""Whom the services run as when root launches: not as root, with no capability, and with no way back."""

import json
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from native import account
from native.account import Account
from tests.services import ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs services as somebody else")
TELL = """
echo $(id -u) $(id -g) $(id -G)
grep -E '^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs):' /proc/self/status | tr -s '\\t\\n' '  '; echo
for file in /etc/shadow "$SECRETS"; do [ -r "$file" ] && echo "can read $file"; done
echo "$HOME"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def test_a_service_has_no_right_of_root(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    (folder / "run").mkdir()
    (folder / "data").mkdir()
    start = {
        "command": ["/bin/sh", "-c", TELL],
        "environment": {"SECRETS": str(folder / "run/one.json")},
        "folder": str(folder / "data"),
        "account": [nobody.pw_uid, nobody.pw_gid],
    }
    (folder / "run/one.json").write_text(json.dumps(start))
    (folder / "run/one.json").chmod(0o600)
    command = [sys.executable, str(ROOT / "native/start.py"), "one"]
    told = subprocess.check_output(command, cwd=folder, text=True).splitlines()
    none = "0" * 16
    assert told == [
        f"{nobody.pw_uid} {nobody.pw_gid} {nobody.pw_gid}",
        f"CapInh: {none} CapPrm: {none} CapEff: {none} CapAmb: {none} NoNewPrivs: 1 ",
        str(folder / "data"),
    ]


def test_what_the_services_keep_becomes_theirs(folder: Path) -> None:
    (folder / "cluster/base").mkdir(parents=True)
    (folder / "cluster/base/1").touch()
    (folder / "cluster/outside").symlink_to("/etc/shadow")
    nobody = Account.named("nobody")
    assert nobody
    nobody.own(folder / "cluster")
    for path in (folder / "cluster", *(folder / "cluster").rglob("*")):
        assert path.lstat().st_uid == nobody.uid
    assert Path("/etc/shadow").stat().st_uid == 0


def test_a_clone_in_a_folder_that_lets_nobody_in_can_be_entered(folder: Path) -> None:
    inner = folder / "root's own"
    (inner / "clone").mkdir(parents=True)
    (inner / "clone/file").write_text("read")
    (inner / "private").write_text("not needed")
    inner.chmod(0o700)
    script = f"""
from pathlib import Path
from native.account import Account, let_in
nobody, inner = Account.named("nobody"), Path({str(inner)!r})
refused = nobody.run(["cat", f"{{inner}}/clone/file"], cwd="/").returncode
let_in(nobody, [inner / "clone", Path("/etc")])
(inner / "clone/new").write_text("written")
print(refused, nobody.run(["cat", f"{{inner}}/clone/file"], cwd="/").stdout, sorted(p.name for p in inner.iterdir()))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "lets nobody else in" in done.stderr:
        pytest.skip("this machine does not allow mount namespaces")
    assert done.stdout == "1 read ['clone']\n", done.stderr
    # Nothing changed for anybody else.
    assert (inner / "clone/new").read_text() == "written"
    assert (inner / "private").exists() and inner.stat().st_mode & 0o777 == 0o700


def test_a_program_that_the_user_may_not_run_is_refused_with_what_to_do(folder: Path) -> None:
    nobody = Account.named("nobody")
    assert nobody
    (folder / "inner").mkdir(mode=0o700)
    program = folder / "inner/python"
    program.symlink_to(sys.executable)
    with pytest.raises(LookupError, match=r"may not run .*/inner/python(?s:.*)o\+rX"):
        account.check_entry(nobody, [program])


def test_root_is_no_user_of_its_own() -> None:
    with pytest.raises(LookupError, match="NATIVE_USER is root"):
        Account.named("root")
    assert account.ensure("nobody") is False
