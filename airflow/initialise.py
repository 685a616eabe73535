"""Makes Airflow ready: the database's schema, the accounts of people and of the relay, the pipeline. Safe to repeat.

One process for all of it, since each start of the `airflow` command takes seconds.
"""

import os

from airflow.cli.cli_parser import get_parser
from airflow.models import Connection, Variable
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.providers.fab.auth_manager.models import User
from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride
from airflow.utils.session import create_session
from ml_platform.settings import Accounts
from sqlalchemy import select
from werkzeug.security import check_password_hash, generate_password_hash

DAG = "DAG:machine-learning-training-pipeline"
# What the relay and the scripts do, and nothing else: start the pipeline, read how its runs go and what they say.
# To start a run Airflow asks for the right to edit its DAG.
RELAY_MAY = [
    *(("can_read", DAG), ("can_edit", DAG), ("can_read", "DAG Runs"), ("can_create", "DAG Runs")),
    *(("can_read", "Task Instances"), ("can_read", "Task Logs")),
]
# With which password of .env the people's account was last made or corrected, as a hash.
SET_PASSWORD = "platform_account_password_hash"  # noqa: S105 - a name


def airflow(*arguments: str) -> None:
    """Runs an `airflow` command within this process."""
    command = get_parser().parse_args(arguments)
    command.func(command)


def encrypt_anew() -> None:
    """What the old key encrypted is the new one's from now on, so that the next change may drop the old one.

    Not `airflow rotate-fernet-key`: that fails at a task which is deferred, whose trigger is not encrypted.
    """
    with create_session() as session:
        for kind, encrypted in (
            (Connection, Connection.is_encrypted | Connection.is_extra_encrypted),
            (Variable, Variable.is_encrypted),
        ):
            for one in session.scalars(select(kind).where(encrypted)):
                one.rotate_fernet_key()


def ensure_accounts(wanted: Accounts) -> None:
    """Makes or corrects an administrator for people and the account `relay`."""
    with get_application_builder() as builder:
        security = builder.sm
        ensure_people(security, wanted.user, wanted.password)
        ensure_relay(security, wanted.relay_password)


def ensure_people(security: FabAirflowSecurityManagerOverride, name: str, password: str) -> None:
    """The administrator `name`; a password that was changed in the UI stays until .env names another one."""
    user = security.find_user(username=name)
    if user is None:
        ensure(security, name, "Administrator", [security.find_role("Admin")], password)
    elif check_password_hash(Variable.get(SET_PASSWORD, default_var=None) or "", password):
        print(f"The account {name} stays as it is.")
        return
    else:
        set_password(security, user, password)
    Variable.set(SET_PASSWORD, generate_password_hash(password))


def ensure_relay(security: FabAirflowSecurityManagerOverride, password: str) -> None:
    """The account of the platform itself, with a role of its own."""
    security.bulk_sync_roles([{"role": "Relay", "perms": RELAY_MAY}])
    role = security.find_role("Relay")
    for permission in list(role.permissions):
        if (permission.action.name, permission.resource.name) not in RELAY_MAY:
            security.remove_permission_from_role(role, permission)
    user = security.find_user(username="relay")
    if user is None:
        ensure(security, "relay", "Platform", [role], password)
        return
    user.roles = [role]
    set_password(security, user, password)


def ensure(
    security: FabAirflowSecurityManagerOverride, name: str, surname: str, roles: list[object], password: str
) -> None:
    """A new account."""
    made = security.add_user(name, name, surname, f"{name}@localhost", roles, password=password)
    if not made:
        raise SystemExit(f"Airflow's account {name} could not be made; the reason stands above.")
    print(f"Made the account {name}.")


def set_password(security: FabAirflowSecurityManagerOverride, user: User, password: str) -> None:
    """Corrects the password where it is another one."""
    if not check_password_hash(user.password, password):
        security.reset_password(user.id, password)
        print(f"The account {user.username} has the password of .env now.")
    security.update_user(user)


if __name__ == "__main__":
    wanted = Accounts.from_env(os.environ)
    airflow("db", "migrate")
    if wanted.key_changes:
        encrypt_anew()
    ensure_accounts(wanted)
    airflow("dags", "reserialize")
