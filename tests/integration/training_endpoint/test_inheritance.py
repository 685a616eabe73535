"""A platform that kept no vouchers is brought up to date: its Champion stays, and can be rolled back from."""

from pathlib import Path

import psycopg
import pytest
from mlflow import MlflowClient

from tests import services, training
from training_endpoint.errors import UnknownVersion
from training_endpoint.release import inheritance, ledger, versions

OLD_LEDGER = """
DROP VIEW public.ledger_breaks;
DROP TABLE public.promotion_ledger CASCADE;
DROP TABLE public.training_versions;
DELETE FROM public.training_schema WHERE migration >= '006';
CREATE TABLE promotion_ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    who text NOT NULL, model_name text NOT NULL, from_version integer, to_version integer, verdict text NOT NULL,
    reason text NOT NULL, evidence jsonb NOT NULL DEFAULT '{}', job_id text
);
INSERT INTO promotion_ledger (who, model_name, from_version, to_version, verdict, reason, evidence) VALUES
    ('training', 'm', NULL, 1, 'first_champion', 'the first', '{"a": 1}'),
    ('training', 'm', 1, 2, 'promoted', 'better', '{}'),
    ('training', 'm', 2, 2, 'kept_worse', 'worse', '{}'), ('ada', 'm', 2, 7, 'override', 'gone since', '{}'),
    ('ada', 'm', 7, 2, 'override', 'back', '{}');
"""


def test_old_decisions_are_sealed_and_old_champions_vouched_for(
    database: str, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(OLD_LEDGER)
    services.apply_schema(database)
    services.apply_schema(database)
    settings = training.settings(database, tmp_path, MLFLOW_TRACKING_URI=mlflow_url, MODEL_NAME="m")
    newest = ledger.newest(database, "m")
    assert newest is not None and (newest.to_version, newest.pinned) == (2, False)
    assert newest.alias_at == newest.served_at == newest.at and ledger.breaks(database) == []

    client = MlflowClient(mlflow_url)
    client.create_registered_model("m")
    for number in (1, 2):
        run = client.create_run("0")
        (tmp_path / f"{number}/serving").mkdir(parents=True)
        (tmp_path / f"{number}/serving/model.onnx").write_text(f"model {number}")
        (tmp_path / f"{number}/notes.txt").write_text("not read by anybody")
        client.log_artifacts(run.info.run_id, str(tmp_path / str(number)), "model")
        client.create_model_version("m", f"{run.info.artifact_uri}/model", run.info.run_id)
    # The machine's proxy has no business between services.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.org")
    voucher = inheritance.voucher(settings, 2)
    assert list(voucher.files) == ["serving/model.onnx"]
    assert (versions.files(settings, voucher, "serving/") / "model.onnx").read_text() == "model 2"
    assert versions.get(settings, 1)
    with pytest.raises(UnknownVersion):
        inheritance.voucher(settings, 7)
