"""What can be wrong with a version's files."""

from mlops_contract.errors import PlatformError


class CannotServe(PlatformError):
    """The version cannot be served, or not on this machine; the message says why."""

    status = 422
    code = "cannot_serve"
