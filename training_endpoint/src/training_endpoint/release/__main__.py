"""The release desk's commands: promote, rollback, unpin, history; `sh launch.sh promote 3 --reason "…"` runs them.

They ask the running service (TRAINING_URL, PLATFORM_TOKEN). Exit status 0 when all is done, else 1.
"""

import argparse
import getpass
import os
import sys
from typing import Any
from urllib.parse import quote

import requests

TIMEOUT_S = (5, 900)


class Problem(Exception):
    """Why a command did not do what it should; one sentence."""


def main(arguments: list[str], environment: dict[str, str]) -> int:
    """Runs one command and prints what came of it."""
    given = _parser().parse_args(arguments)
    try:
        if given.command == "history":
            return _history(environment, given.limit, given.verify, given.classifier)
        body = {"reason": given.reason, "who": given.who}
        if given.classifier:
            body["classifier"] = given.classifier
        if given.command != "unpin":
            body["pin"] = given.pin
        if given.command == "promote":
            body["version"] = given.version
        _tell(ask(environment, "POST", {"rollback": "/rollback"}.get(given.command, f"/{given.command}"), body))
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sh launch.sh", description="Decide what is served, and see who decided what."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="promote | rollback | unpin | history")
    promote = commands.add_parser("promote", help="serve a registered version, whatever was measured")
    promote.add_argument("version", type=int)
    rollback = commands.add_parser("rollback", help="serve the Champion before this one, and hold it")
    unpin = commands.add_parser("unpin", help="let training's verdicts decide again")
    for command in (promote, rollback, unpin):
        command.add_argument("--reason", required=True, help="why; it stays in the ledger")
        command.add_argument("--who", default=_login(), help="who decides (default: your login name)")
    promote.add_argument("--pin", action="store_true", help="hold the version until unpin: no verdict moves it")
    rollback.add_argument("--no-pin", dest="pin", action="store_false", help="let the next better version replace it")
    history = commands.add_parser("history", help="the ledger, a line a decision, newest first")
    history.add_argument("--limit", type=int, default=20)
    for command in (promote, rollback, unpin, history):
        command.add_argument("--classifier", metavar="NAME", help="another than the default one")
    history.add_argument("--verify", action="store_true", help="prove that no row was changed or left out")
    return parser


def _login() -> str:
    try:
        return os.environ.get("OPERATOR") or getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "operator"


def _tell(told: dict[str, Any]) -> None:
    pinned = ", pinned: training goes on, and says what it would have done" if told["pinned"] else ""
    print(f"{told['model_name']}: version {told['previous_version']} -> {told['champion']}, recorded{pinned}")
    for replica in told["switch"].get("replicas", []):
        print(f"  {replica['replica']} at {replica['address']} serves version {replica['version']}")
    if not told["alias"]:
        print(f"  MLflow's alias {told['alias_name']} follows as soon as MLflow takes it.")


def _history(environment: dict[str, str], limit: int, verify: bool, classifier: str | None) -> int:
    whose = f"&classifier={quote(classifier)}" if classifier else ""
    told = ask(environment, "GET", f"/history?limit={limit}{whose}")
    for row in told["decisions"]:
        moved = (
            f"version {row['to_version']}"
            if row["from_version"] == row["to_version"]
            else f"version {row['from_version'] or '-'} -> {row['to_version'] or '-'}"
        )
        marks = " pinned" if row["pinned"] else ""
        waits = "" if row["served_at"] or row["from_version"] == row["to_version"] else " (not served yet)"
        why = f"{row['verdict']}{marks}{waits}  {row['who']}: {row['reason']}"
        print(f"{row['id']:>5}  {row['at'][:19]}  {moved:<20} {why}")
    if not verify:
        return 0
    if told["breaks"]:
        print(f"The chain is broken at row {told['breaks'][0]}: rows were changed or taken away.", file=sys.stderr)
        return 1
    print(f"The chain is whole: {told['rows']} rows, the newest hash is {told['hash'] or '-'}.")
    return 0


def ask(environment: dict[str, str], method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The running service's answer; raises `Problem`."""
    url = environment.get("TRAINING_URL", "http://127.0.0.1:9999").rstrip("/")
    headers = {"Authorization": f"Bearer {environment.get('PLATFORM_TOKEN', '')}"}
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, f"{url}{path}", json=body, headers=headers, timeout=TIMEOUT_S)
        told: dict[str, Any] = answer.json()
    except requests.RequestException as error:
        raise Problem(
            f"No usable answer from {url} ({type(error).__name__}): is the training endpoint running?"
        ) from error
    if not answer.ok:
        raise Problem(told["error"]["message"])
    return told


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], dict(os.environ)))
