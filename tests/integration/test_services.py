import psycopg
import requests


def test_database_is_new_and_real(database: str) -> None:
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT current_database(), version()").fetchone()
    assert row is not None and row[0].startswith("test_") and row[1].startswith("PostgreSQL")


def test_mlflow_answers(mlflow_url: str) -> None:
    assert requests.get(f"{mlflow_url}/version", timeout=5).text == "3.17.2"
