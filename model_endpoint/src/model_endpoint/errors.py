"""Everything that can go wrong here and that a client may see, beside the runner's `CannotServe`."""

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


class NoSuchFile(PlatformError):
    """The store of this replica does not have the file."""

    status = 404
    code = "no_such_file"
