"""The accounts of people and of services, made at each start as the settings say. Safe to repeat."""

from mlflow.server.auth import store
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

from tracking_server.settings import Settings


def ensure(settings: Settings) -> None:
    """Makes or corrects the three accounts: people may do all, training may write, serving may read."""
    store.init_db(settings.database_url)
    _account(store, *settings.people, admin=True)
    _account(store, *settings.training)
    for kind in ("experiment", "registered_model"):
        store.grant_user_permission(settings.training[0], kind, "*", "MANAGE")
    _account(store, *settings.serving)  # what is not granted may be read; the app lets it write nothing


def _account(users: SqlAlchemyStore, name: str, password: str, admin: bool = False) -> None:
    if not users.has_user(name):
        users.create_user(name, password, is_admin=admin)
    elif not users.authenticate_user(name, password):
        users.update_user(name, password=password, is_admin=admin)
