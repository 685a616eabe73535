"""Everything that can go wrong here and that a client may see."""

from mlops_contract.errors import PlatformError


class InvalidInput(PlatformError):
    """The request cannot be understood or is out of its limits."""

    status = 400
    code = "invalid_input"


class WrongContentType(PlatformError):
    """The body is not said to be JSON."""

    status = 415
    code = "wrong_content_type"


class TooLarge(PlatformError):
    """The body, the number of texts or a text is over its limit."""

    status = 413
    code = "too_large"


class UnknownModel(PlatformError):
    """A client named a model or version that is not served here."""

    status = 404
    code = "unknown_model"


class NoModel(PlatformError):
    """Nothing is served yet."""

    status = 503
    code = "no_model"


class Overloaded(PlatformError):
    """As many requests as allowed are in work."""

    status = 503
    code = "overloaded"


class RegistryUnavailable(PlatformError):
    """MLflow does not answer, or not as MLflow does."""

    status = 503
    code = "registry_unavailable"


class NoSuchVersion(PlatformError):
    """The registry has no such model, version or alias."""

    status = 404
    code = "no_such_version"


class NotTheChampion(PlatformError):
    """Asked to switch to a version which the alias does not name."""

    status = 409
    code = "not_the_champion"


class CannotServe(PlatformError):
    """The version cannot be served; the old one goes on."""

    status = 422
    code = "cannot_serve"


class CacheUnavailable(PlatformError):
    """The disk of the cache is full, or cannot be written."""

    status = 507
    code = "cache_unavailable"


class NotPrepared(PlatformError):
    """A commit without the preparation of the same version."""

    status = 409
    code = "not_prepared"


class StaleEpoch(PlatformError):
    """A hold or commit that a newer switch has overtaken."""

    status = 409
    code = "stale_epoch"
    passes = True


class SwitchBusy(PlatformError):
    """Another switch is just being committed."""

    status = 409
    code = "switch_busy"
    passes = True


class SwitchFailed(PlatformError):
    """A replica could not switch; the message says which and why."""

    status = 502
    code = "switch_failed"
