"""A backup of real databases, and what becomes of it in others."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests import services
from tests.services import PROGRAMS, ROOT

SECRET = 'it\'s a "password" with $everything @ # in it'
ENV = f"# mine\nPLATFORM_TOKEN='{SECRET}'\r\nLAST=1\n"


ANSWER = """'id', 0, 'reviews', 1, 'one', 'a\ttext', NULL, 'good', '{"good": 1}', false, 3"""
FEEDBACK = (
    "(request_id, place, answered_at, classifier, version, predicted, label, text)"
    " VALUES ('id', 0, now(), 'reviews', 1, 'good', 'bad', 'a text that waits')"
)
LOG = "SELECT *, tableoid::regclass::text FROM prediction_log.answers ORDER BY at"
NOTES = "SELECT * FROM prediction_log.feedback"


@dataclass
class State:
    """The three databases and the artifacts of one platform, on one server."""

    server: str
    artifacts: Path

    def database(self, name: str) -> str:
        return self.server.replace("/postgres?", f"/{name}?")

    @property
    def variables(self) -> dict[str, str]:
        """What the scripts are told."""
        return {
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            **{f"{name.upper()}_DATABASE": self.database(name) for name in ("training", "mlflow", "airflow")},
            **dict.fromkeys(
                ("TRAINING_SUPERUSER_PASSWORD", "BACKEND_STORE_PASSWORD", "AIRFLOW_DATABASE_PASSWORD"), "x"
            ),
            "ARTIFACTS": str(self.artifacts),
            "PLATFORM_ID": "one",
            "MODEL_ALIAS": "Champion",
            "DOTENV": ENV.removesuffix("\n"),
        }

    def run(self, script: str, *words: str, given: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
        """One of launch/backup's scripts."""
        command = ["sh", str(ROOT / f"launch/backup/{script}.sh"), *words]
        told = {**self.variables, **variables}
        return subprocess.run(command, env=told, input=given, capture_output=True, check=False, timeout=120)

    def ask(self, database: str, question: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.database(database), autocommit=True) as connection:
            asked = connection.execute(question)
            return asked.fetchall() if asked.description else []


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """A platform with a Champion, an event that waits, a writer of the user's own, and large artifacts."""
    folder = tmp_path_factory.mktemp("full")
    with services.postgres(folder / "postgres") as server:
        state = State(server, folder / "artifacts")
        for name in ("training", "mlflow", "airflow"):
            services.new_database(server, name)
        services.apply_schema(state.database("training"))
        state.ask("training", "CREATE ROLE shop LOGIN PASSWORD 'shop'")
        state.ask(
            "training",
            "CREATE TABLE datasets.reviews AS SELECT n, 'a text ' || n AS text FROM generate_series(1, 5000) n",
        )
        state.ask(
            "training", "ALTER TABLE datasets.reviews OWNER TO platform; GRANT INSERT ON datasets.reviews TO shop"
        )
        state.ask("training", "SELECT public.watch_training_table('datasets.reviews')")
        state.ask("training", "INSERT INTO datasets.reviews VALUES (0, 'waits for a run')")
        state.ask("training", "INSERT INTO public.training_versions VALUES ('m', 1, 'r', 'x', '{}', '{}', '{}')")
        state.ask("training", "SELECT public.decide_by_hand('me', 'm', 1, true, 'override', 'because')")
        for day in ("now()", "now() - interval '1 day'"):
            state.ask("training", f"INSERT INTO prediction_log.answers VALUES ({day}, {ANSWER})")
        state.ask("training", f"INSERT INTO prediction_log.feedback {FEEDBACK}")
        state.ask("mlflow", "CREATE TABLE registered_model_aliases (name text, alias text, version int)")
        state.ask("mlflow", "INSERT INTO registered_model_aliases VALUES ('m', 'Champion', 2), ('m', 'mine', 1)")
        state.ask("airflow", "CREATE TABLE dag_run (id int); INSERT INTO dag_run VALUES (7)")
        (state.artifacts / "1/models").mkdir(parents=True)
        (state.artifacts / "1/models/a file.onnx").write_bytes(os.urandom(40_000_000))
        yield state


@pytest.fixture(scope="module")
def backup(full: State) -> bytes:
    done = full.run("take")
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[State]:
    with services.postgres(tmp_path / "postgres") as server:
        for name in ("training", "mlflow", "airflow"):
            services.new_database(server, name)
        (tmp_path / "artifacts").mkdir()
        yield State(server, tmp_path / "artifacts")


def test_what_was_poured_is_what_was_taken(full: State, backup: bytes, empty: State) -> None:
    for part in ("roles", "training", "mlflow", "airflow", "artifacts"):
        done = empty.run("pour", part, given=backup)
        assert done.returncode == 0, done.stderr.decode()
    services.apply_schema(empty.database("training"))  # as each start does
    for question in (
        "SELECT id, to_version, pinned, hash FROM promotion_ledger ORDER BY id",
        "SELECT id, table_name, rows FROM training_event_queue ORDER BY id",
        "SELECT count(*), sum(n) FROM datasets.reviews",
        "SELECT tableowner FROM pg_tables WHERE tablename = 'reviews'",
        "SELECT rolpassword FROM pg_authid WHERE rolname = 'shop'",
        LOG,
        NOTES,
    ):
        assert empty.ask("training", question) == full.ask("training", question) != []
    assert empty.ask("training", "SELECT * FROM ledger_breaks") == []
    assert empty.ask("airflow", "SELECT id FROM dag_run") == [(7,)]
    file = "1/models/a file.onnx"
    assert (empty.artifacts / file).read_bytes() == (full.artifacts / file).read_bytes()
    # The loop goes on: the user's own role writes, and its rows become an event.
    empty.ask("training", "SET ROLE shop; INSERT INTO datasets.reviews VALUES (9, 'new')")
    assert empty.ask("training", "SELECT count(*) FROM training_event_queue") == [(2,)]
    # The alias was ahead of the ledger: that is no decision of anybody's.
    assert empty.ask("mlflow", "SELECT alias FROM registered_model_aliases") == [("mine",)]


def test_the_log_of_predictions_may_be_left_out(full: State, empty: State) -> None:
    taken = full.run("take", BACKUP_PREDICTION_LOG="off")
    assert taken.returncode == 0, taken.stderr.decode()
    for part in ("roles", "training"):
        done = empty.run("pour", part, given=taken.stdout)
        assert done.returncode == 0, done.stderr.decode()
    assert empty.ask("training", LOG) == [] and empty.ask("training", NOTES) == full.ask("training", NOTES) != []
    # It goes on where it is: its days are there, and the replicas' role may add.
    empty.ask("training", f"SET ROLE serving; INSERT INTO prediction_log.answers VALUES (now(), {ANSWER})")
    assert len(empty.ask("training", LOG)) == 1
    refused = full.run("take", BACKUP_PREDICTION_LOG="some")
    assert refused.returncode == 1 and b"it must be on or off" in refused.stderr


LOCK = "SET lock_timeout = '1s'; LOCK TABLE public.training_coverage IN SHARE UPDATE EXCLUSIVE MODE"


def test_nothing_that_it_has_named_is_removed_meanwhile(full: State) -> None:
    command = ["sh", str(ROOT / "launch/backup/take.sh")]
    with (
        subprocess.Popen(command, env=full.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as taking,
        psycopg.connect(full.database("training")) as janitor,
    ):
        assert taking.stdout and taking.stderr
        read = b""
        while b"artifacts.000000" not in read:  # what is not read yet cannot be written
            read += taking.stdout.read(512)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            janitor.execute(LOCK)
        janitor.rollback()
        janitor.execute("INSERT INTO training_coverage SELECT 1, 'a job' WHERE false")
        janitor.rollback()
        taking.stdout.read()
        assert taking.wait(60) == 0, taking.stderr.read().decode()
        janitor.execute(LOCK)


def test_it_tells_what_it_is_and_has_env_to_the_byte(full: State, backup: bytes) -> None:
    about = full.run("read", "about", given=backup).stdout.decode()
    assert "format=1\n" in about and "platform=one\n" in about and "postgres=17." in about and "001_tables" in about
    assert full.run("read", "env", given=backup).stdout.decode() == ENV


def test_what_is_damaged_or_cut_is_refused(full: State, backup: bytes) -> None:
    assert full.run("read", "check", given=backup).returncode == 0
    places = [600, 5000, 30_000, 80_000, len(backup) // 2, len(backup) - 11_000]
    broken = [backup[:at] + bytes([backup[at] ^ 1]) + backup[at + 1 :] for at in places if at % 512 < 200]
    ends = [0, 1, 512, 10_240, 70_000, len(backup) // 2, len(backup) - 20_480]
    piece = backup.index(b"artifacts.000001") // 512 * 512
    missing = backup[:piece] + backup[backup.index(b"artifacts.000002") // 512 * 512 :]
    for one in [*broken, *(backup[:end] for end in ends), missing, b"not a backup" * 1000]:
        refused = full.run("read", "check", given=one)
        assert refused.returncode == 1 and refused.stderr.startswith(b"backup: it is "), refused.stderr


def test_without_env_there_is_no_backup(full: State) -> None:
    done = full.run("take", DOTENV="")
    assert done.returncode == 1 and b"env could not be read" in done.stderr


def test_a_database_that_is_away_makes_no_backup(full: State) -> None:
    done = full.run("take", MLFLOW_DATABASE="postgresql://mlflow@127.0.0.1:9/mlflow")
    assert done.returncode == 1 and b"mlflow could not be read" in done.stderr
    assert full.run("read", "check", given=done.stdout).returncode == 1


def test_each_night_one_is_made_and_the_newest_stay(full: State, tmp_path: Path) -> None:
    for day in ("2026-01-01", "2026-01-02", "2026-01-03"):
        (tmp_path / f"one-{day}.backup").touch()
    (tmp_path / "another-2026-01-01.backup").touch()
    told = {"BACKUP_FOLDER": str(tmp_path), "BACKUP_HOUR": "0", "BACKUP_KEEP": "2", "TMPDIR": str(tmp_path)}

    def made() -> list[str]:
        return sorted(path.name for path in tmp_path.glob("one-*.backup"))

    nightly = ["sh", str(ROOT / "launch/backup/nightly.sh")]
    with services.process(nightly, tmp_path / "log", {**full.variables, **told}):
        services.wait_until("old ones are gone", lambda: len(made()) == 2 and made()[0] == "one-2026-01-03.backup")
    newest = tmp_path / made()[1]
    assert full.run("read", "check", given=newest.read_bytes()).returncode == 0
    assert newest.stat().st_mode & 0o077 == 0
    assert (tmp_path / "another-2026-01-01.backup").exists()
