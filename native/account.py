"""Whom the services run as. Root launches them as a user of their own; anybody else as himself."""

import ctypes
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_MOUNTS = 0x00020000  # CLONE_NEWNS
_BIND, _PRIVATE = 0x1000 | 0x4000, 0x40000 | 0x4000  # each with all that is mounted below


@dataclass(frozen=True)
class Account:
    """A user who owns what the services keep, and may do nothing else."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> "Account | None":
        """The account of a launch by root; None for anybody else's, and where `ensure` has made none yet."""
        if os.geteuid() != 0:
            return None
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            return None
        if found.pw_uid == 0:
            raise LookupError(f"NATIVE_USER is {name}, who is root: name another user in .env, or launch as one")
        return cls(name, found.pw_uid, found.pw_gid)

    def run(self, command: list[str], **options: object) -> "subprocess.CompletedProcess[str]":
        """Runs `command` to its end as this user, its output captured."""
        return subprocess.run(  # type: ignore[call-overload, no-any-return] # options of the caller
            command,
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    def own(self, path: Path) -> None:
        """Gives it `path` with all that lies below."""
        if path.lstat().st_uid == self.uid:
            return
        for folder, folders, files in os.walk(path):
            for name in [*folders, *files]:
                os.chown(Path(folder, name), self.uid, self.gid, follow_symlinks=False)
        os.chown(path, self.uid, self.gid)  # last, since it says that all is done


def ensure(name: str) -> bool:
    """Has the system make `name` where root launches and there is no such user; whether it did."""
    if os.geteuid() != 0 or name in {entry.pw_name for entry in pwd.getpwall()}:
        return False
    if shutil.which("useradd") is None:
        raise LookupError(
            f"services do not run as root, there is no user {name}, and no useradd to make one\n"
            "  → make that user, or set NATIVE_USER in .env to another\n  → or launch as yourself instead of as root"
        )
    make = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    done = subprocess.run([*make, "--shell", "/usr/sbin/nologin", name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LookupError(f"the user {name}, whom the services shall run as, cannot be made: {done.stderr.strip()}")
    return True


def let_in(account: Account, needed: Iterable[Path]) -> None:
    """Lets the account reach `needed` where a folder above lets nobody in but its owner, as root's home does.

    No permission is changed: this process and what it starts see such a folder replaced by one that holds what is
    needed and nothing else (a mount namespace). LookupError where the system does not allow that.
    """
    hidden: dict[Path, set[Path]] = {}
    for path in {path.resolve() for path in needed if path.exists()}:
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & 0o001 and folder.stat().st_uid != account.uid:
                hidden.setdefault(folder, set()).add(path)
                break
    if not hidden:
        return
    here = Path.cwd()
    try:
        _system("unshare", _NEW_MOUNTS)
        _system("mount", b"none", b"/", None, _PRIVATE, None)
        for folder, paths in hidden.items():
            _replace(folder, [path for path in paths if not paths & set(path.parents)])
    except OSError as error:
        folder = next(iter(hidden))
        raise LookupError(
            f"the services run as {account.name}, not as root, and {folder} lets nobody else in ({error.strerror})\n"
            f"  → chmod o+x '{folder}'\n  → or clone into a folder such as /opt, with a Python that all may use\n"
            "  → or launch as yourself instead of as root"
        ) from error
    os.chdir(here)


def check_entry(account: Account, programs: Iterable[Path]) -> None:
    """LookupError where the account cannot run one of `programs`."""
    for program in programs:
        with suppress(PermissionError):
            if account.run([str(program), "-c", ""], cwd="/").returncode == 0:
                continue
        raise LookupError(
            f"the services run as {account.name}, not as root, who may not run {program}\n"
            f"  → let others read and enter it and the folders above: chmod -R o+rX\n"
            "  → or launch as yourself instead of as root"
        )


def _replace(folder: Path, paths: list[Path]) -> None:
    kept = [(path, path.is_dir(), os.open(path, os.O_PATH)) for path in paths]
    _system("mount", b"none", bytes(folder), b"tmpfs", 0, b"mode=755,size=1m")
    for path, is_folder, file in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if is_folder else path.touch()
        _system("mount", f"/proc/self/fd/{file}".encode(), bytes(path), None, _BIND, None)
        os.close(file)


def _system(call: str, *arguments: object) -> None:
    if getattr(_LIBC, call)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
