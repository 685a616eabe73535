"""Databases as an attacker meets them: the schema applied as at a start, and connections as each role."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests import services

Connection = psycopg.Connection[tuple[object, ...]]


def url_of(database: str, role: str) -> str:
    """The address of `database` for another role; the test server trusts whoever reaches its socket."""
    return database.replace("//postgres:@", f"//{role}:@")


@contextmanager
def connected(database: str, role: str = "postgres") -> Iterator[Connection]:
    """An autocommit connection as `role`."""
    with psycopg.connect(url_of(database, role), autocommit=True) as connection:
        yield connection


@contextmanager
def owned(services_url: str) -> Iterator[Connection]:
    """As the owner of all, by the address that the services have."""
    with connected(services_url.replace("//platform:@", "//postgres:@")) as connection:
        yield connection


@contextmanager
def writer_of(database: str, table: str = "datasets.reviews") -> Iterator[str]:
    """`table`, of texts with labels, platform's and of a classifier, and a role that may insert into it; its name."""
    role = f"writer_{services.free_port()}"
    with connected(database, "platform") as platform:
        platform.execute(f"CREATE TABLE {table} (text text, label int)")
        platform.execute("SELECT public.create_classifier(%s, %s)", [table.partition(".")[2] or table, table])
    with connected(database) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN")
        owner.execute(f"GRANT INSERT ON {table} TO {role}")
        try:
            yield role
        finally:
            owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def is_superuser(database: str, role: str = "platform") -> bool:
    with connected(database) as owner:
        row = owner.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    return bool(row and row[0])
