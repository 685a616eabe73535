"""Becomes one of the platform's processes: reads what `up` wrote about it and executes that. Runs in .platform."""

import ctypes
import json
import os
import sys
from pathlib import Path

PR_SET_NO_NEW_PRIVS = 38

# What a process takes over from the shell that launched the platform; everything else is in the settings.
INHERITED = (
    *("PLATFORM_HOME", "PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"),
)


def main(name: str) -> None:
    """Never returns: the process that the supervisor started becomes the service."""
    said = Path(f"run/{name}.json").read_text()
    Path(f"run/{name}.started").write_text(said)  # by which `up` sees that it is to be started again
    Path(f"run/{name}.started").chmod(0o600)
    process = json.loads(said)
    keep = {key: os.environ[key] for key in INHERITED if key in os.environ}
    # A process that sets its title must not write it over its environment, where PLATFORM_HOME is looked for.
    keep |= {"SPT_NOENV": "1", "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    os.chdir(process["folder"])
    if process["account"] is not None:
        uid, gid = process["account"]
        # It cannot write beside the packages, and without bytecode every start compiles for half a minute.
        keep |= {"HOME": process["folder"], "PYTHONPYCACHEPREFIX": str(Path(process["folder"]).parent / "bytecode")}
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)  # takes every capability away
    # No program that it starts can give it more than it has.
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.execvpe(process["command"][0], process["command"], {**keep, **process["environment"]})  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1])
