"""Makes Airflow ready: the database's schema, the account of AIRFLOW_USER, the pipeline. Safe to repeat.

One process for all of it, since each start of the `airflow` command takes seconds.
"""

import os

from airflow.cli.cli_parser import get_parser
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from werkzeug.security import check_password_hash


def airflow(*arguments: str) -> None:
    """Runs an `airflow` command within this process."""
    command = get_parser().parse_args(arguments)
    command.func(command)


def ensure_account(name: str, password: str) -> None:
    """An administrator called `name` with this password, made or corrected as needed."""
    with get_application_builder() as builder:
        user = builder.sm.find_user(username=name)
    account = ("--username", name, "--password", password)
    if user is None:
        person = ("--firstname", name, "--lastname", "Administrator", "--email", f"{name}@localhost")
        airflow("users", "create", *account, *person, "--role", "Admin")
    elif check_password_hash(user.password, password):
        print(f"The account {name} is as it should be.")
    else:
        airflow("users", "reset-password", *account)


if __name__ == "__main__":
    airflow("db", "migrate")
    ensure_account(os.environ["AIRFLOW_USER"], os.environ["AIRFLOW_PASSWORD"])
    airflow("dags", "reserialize")
