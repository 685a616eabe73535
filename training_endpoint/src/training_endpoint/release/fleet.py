"""All replicas together: found by name, prepared all, held all, then committed all.

One that hangs is left out as soon as it may answer nobody any more (release/loans.py); one where no process listens at
once. Both join the others when they come back.
"""

import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from functools import partial
from typing import Any

import requests

from mlops_contract.addresses import resolve
from mlops_contract.errors import PlatformError
from mlops_contract.lending import PEERS_SECONDS
from mlops_contract.voucher import Voucher
from training_endpoint import aside
from training_endpoint.errors import SwitchBusy, SwitchFailed
from training_endpoint.release import peers
from training_endpoint.release.loans import Loans
from training_endpoint.release.visits import Visits
from training_endpoint.settings import Settings

RETRIES_SECONDS = 20
COMMIT_SECONDS = 5
RETRY_SECONDS = 0.2
# A replica that takes connections must say this soon what it serves; else it hangs.
LOOK_SECONDS = 2.5
# What it said in a visit is as good as a look for so long.
GLANCE_SECONDS = 1.5
Told = dict[str, dict[str, Any]]


class Away(Exception):
    """No process listens at the address: it answers nobody, and joins the others when it comes up."""


class Hangs(Exception):
    """It does not answer, and may do so again at any time."""


class Fleet:
    """The replicas behind MODEL_ENDPOINTS."""

    def __init__(self, settings: Settings, visits: Visits | None = None) -> None:
        """`visits`: of other models of the same replicas, so that each is visited once for all."""
        self.settings = settings
        self.visits = visits or Visits(self._lend)
        self.loans = Loans(self.addresses)
        self._changed = 0.0

    def start(self) -> None:
        """From now on it lends the right to answer; returns at once."""
        self.visits.add(self.loans)

    def stop(self) -> None:
        """Lends nothing any more."""
        self.visits.remove(self.loans)

    def addresses(self) -> list[str]:
        """Every replica's ip:port, sorted."""
        return resolve(self.settings.model_endpoints)

    def look(self) -> Told:
        """What each replica that answers says of itself, by address."""
        addresses = [address for address in self.addresses() if not self.loans.silent(address)]
        return self._ask(addresses, "GET", "/models", {}, LOOK_SECONDS, SwitchFailed)[0]

    def glance(self) -> Told:
        """As `look`, without a question where each has just said it when it was visited."""
        since = max(self._changed, time.monotonic() - GLANCE_SECONDS)
        return self.loans.told(since) or self.look()

    def settle(self, told: Told, key: str) -> None:
        """All that answered serve `key`, as decided; returns when nobody else may answer any more."""
        self.loans.serving = key
        self._wait_for({*self.addresses(), *self.loans.owing(())} - set(told))

    def found(self, told: Told) -> None:
        """What a desk that has just started sees: if all serve the same, that is what the fleet serves."""
        keys = {one.get("key") for one in told.values()}
        if self.loans.serving is None and len(keys) == 1 and set(told) == set(self.addresses()):
            (self.loans.serving,) = keys

    def change(self, wanted: Callable[[], Voucher]) -> dict[str, Any]:
        """Switches every replica to the version that `wanted` says, or none: SwitchFailed says which cannot, and why.

        Answers {"version", "replicas": [{"replica", "address", "version", "previous_version"}], "seconds"}.
        Whatever the others' switches do in between, it is tried again until the deadline.
        """
        start = time.monotonic()
        before: dict[str, int | None] = {}
        while True:
            voucher = wanted()
            number = voucher.version
            try:
                ready = self._change(voucher, before)
            except SwitchBusy:
                if time.monotonic() - start > RETRIES_SECONDS:
                    raise
                time.sleep(RETRY_SECONDS)
            except SwitchFailed:
                self._tell(self.addresses(), "/models/withdraw", {"version": number})
                raise
            else:
                break
            finally:
                self.loans.bar(())
                self._changed = time.monotonic()
        replicas = [
            {
                "replica": told["replica"],
                "address": address,
                "version": number,
                "previous_version": before.get(address),
            }
            for address, told in ready.items()
        ]
        return {"version": number, "replicas": replicas, "seconds": round(time.monotonic() - start, 3)}

    def _change(self, voucher: Voucher, before: dict[str, int | None]) -> Told:
        """Three moves; what each replica said at the end. What they served is put into `before`, unless it is there."""
        silent = {address for address in self.addresses() if self.loans.silent(address)}
        found, hanging = self._ask(set(self.addresses()) - silent, "GET", "/models", {}, LOOK_SECONDS)
        for address, told in found.items():
            before.setdefault(address, told["version"])
        body: dict[str, Any] = {"voucher": voucher.as_dict()}
        ready, fell_silent = self._ask(found, "POST", "/models/prepare", body, self.settings.switch_seconds)
        if not ready:
            raise SwitchFailed(f"No replica answers at {', '.join(self.settings.model_endpoints)}.")
        absent = silent | hanging | fell_silent | self.loans.owing(ready)
        self._wait_for(absent)
        body = {"version": voucher.version}
        body["epoch"] = max(told["epoch"] for told in ready.values()) + 1
        body["leader"] = f"the release desk ({secrets.token_hex(4)})"
        behind = [address for address, told in ready.items() if not told["serving"]]
        start = time.monotonic()
        # Held in order, the first alone: of two switches at a time one loses there, before it has changed anything.
        try:
            for group in (behind[:1], behind[1:]):
                _, hanging = self._ask(group, "POST", "/models/hold", body, self.settings.hold_seconds + 2)
                if hanging:
                    raise SwitchBusy(f"The replica at {min(hanging)} does not answer any more.")
            self._refuse_latecomers({*ready, *absent})
            if time.monotonic() - start > self.settings.hold_seconds:
                raise SwitchBusy("The first replica's gate opened before the last one's was shut.")
        except (SwitchBusy, SwitchFailed):
            self._tell(behind, "/models/release", body)
            raise
        self.loans.pause()
        # One that hangs now is held, and may not answer when that is over.
        committed, hanging = self._ask(behind, "POST", "/models/commit", body, COMMIT_SECONDS)
        self.loans.serving = voucher.key
        if absent or hanging:
            # Who is cut off from here, but not from the others, may have had their word until just now.
            time.sleep(PEERS_SECONDS)
        return {address: told for address, told in ready.items() if told["serving"]} | committed

    def _wait_for(self, absent: set[str]) -> None:
        """Returns when none of `absent` may answer anybody: what it was lent has run out."""
        self.loans.bar(absent)
        time.sleep(self.loans.run_out(absent))

    def _refuse_latecomers(self, known: set[str]) -> None:
        """Who has come up since the preparation would go on with the old version: SwitchBusy, so that it takes part."""
        others = [address for address in self.addresses() if address not in known]
        late, hanging = self._ask(others, "GET", "/models", {}, 1)
        if late or hanging:
            raise SwitchBusy(f"The replica at {min({*late, *hanging})} has just come up.")

    def _lend(self, replica: str, due: dict[str, Any], /) -> Told | None:
        """One visit."""
        try:
            return dict(self._call(replica, "POST", "/models/lend", {"loans": due}, LOOK_SECONDS, peers.call)["loans"])
        except Away:
            return None
        except (SwitchBusy, SwitchFailed, KeyError):
            return {}  # of a release that knows no loans, or not of all classifiers at once

    def _tell(self, addresses: Iterable[str], path: str, body: dict[str, Any]) -> None:
        """Says it to whoever listens; what is held opens by itself, and what is prepared can be prepared again."""
        self._ask(addresses, "POST", path, body, 2, SwitchBusy, SwitchFailed)

    def _call(
        self,
        address: str,
        method: str,
        path: str,
        body: dict[str, Any],
        seconds: float,
        send: Callable[..., requests.Response] = peers.call_once,
    ) -> dict[str, Any]:
        url, timeout = f"http://{address}{path}", (2, seconds)
        try:
            answer = self.settings.platform_token.send(
                lambda headers: send(method, url, json=body or None, headers=headers, timeout=timeout)
            )
            told = answer.json()
        except requests.exceptions.ConnectionError as error:
            raise Away if _nobody_listens(error) else Hangs from error
        except requests.exceptions.Timeout as error:
            raise Hangs from error
        except requests.RequestException as error:
            raise SwitchFailed(f"The replica at {address} failed at {path}: {type(error).__name__}.") from error
        if answer.ok and path == "/models" and "key" not in told:
            raise Away  # of a release before vouchers: it follows MLflow until the launch has replaced it
        if answer.ok:
            return dict(told)
        code, message = told["error"]["code"], told["error"]["message"]
        if code in ("switch_busy", "stale_epoch", "not_prepared"):
            raise SwitchBusy(f"The replica at {address} says: {message}")
        raise SwitchFailed(f"The replica at {address} says: {message}")

    def _ask(
        self,
        addresses: Iterable[str],
        method: str,
        path: str,
        body: dict[str, Any],
        seconds: float,
        *ignored: type[Exception],
    ) -> tuple[Told, set[str]]:
        """What each says, without those who are away or fail with an `ignored` error; and who hangs.

        Whoever falls silent meanwhile hangs too, however long the answer may take.
        """
        asked: dict[Future[dict[str, Any]], str] = {}
        for address in sorted(addresses):
            asked[aside.begun("asking", partial(self._call, address, method, path, body, seconds))] = address
        told: Told = {}
        hanging: set[str] = set()
        errors: dict[str, PlatformError] = {}
        open_ones = set(asked)
        while open_ones:
            done, open_ones = wait(open_ones, 0.5)
            fell_silent = {answer for answer in open_ones if self.loans.silent(asked[answer])}
            open_ones -= fell_silent
            hanging |= {asked[answer] for answer in fell_silent}
            for answer in done:
                try:
                    told[asked[answer]] = answer.result()
                except Hangs:
                    hanging.add(asked[answer])
                except Away:
                    continue
                except PlatformError as error:
                    if not isinstance(error, ignored):
                        errors[asked[answer]] = error
        if errors:
            raise errors[min(errors)]
        return {address: told[address] for address in sorted(told)}, hanging


def _nobody_listens(error: BaseException | None) -> bool:
    """Whether the machine is there and the process is not; else nobody knows."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError | ConnectionResetError):
            return True
        reason = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
        error = error.__cause__ or error.__context__ or (reason if isinstance(reason, BaseException) else None)
    return False
