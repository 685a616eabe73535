"""Everything that can go wrong here and that a client may see, beside the runner's `CannotServe`."""

from mlops_contract.errors import PlatformError


def tame(error: BaseException) -> BaseException:
    """`error`, or where it is one that `except Exception` misses and that asks no thread to end, a ModelBroke for it.

    The tokenizers' Rust code panics with such a one: it would end the thread, or the process, that it passes through.
    """
    if isinstance(error, Exception | SystemExit | KeyboardInterrupt | GeneratorExit):
        return error
    return ModelBroke(f"The served model broke down over this input ({type(error).__name__}).")


class InvalidInput(PlatformError):
    """The request cannot be understood or is out of its limits."""

    status = 400
    code = "invalid_input"


class Contradiction(PlatformError):
    """Two parts of the request, each well formed, contradict each other."""

    status = 409
    code = "contradiction"


class WrongContentType(PlatformError):
    """The body is not said to be JSON."""

    status = 415
    code = "wrong_content_type"


class UnknownEncoding(PlatformError):
    """The body is compressed in a way that is not known here."""

    status = 415
    code = "unknown_encoding"


class TooLarge(PlatformError):
    """The body, the number of texts, a text, or the work that they are, is over its limit."""

    status = 413
    code = "too_large"


class NobodyWaits(PlatformError):
    """The client has gone; what is left to compute is given up, and nobody reads this."""

    status = 499
    code = "nobody_waits"


class ModelBroke(PlatformError):
    """The served version's own files broke down over an input."""

    code = "model_broke"


class UnknownModel(PlatformError):
    """A client named a model or version that is not served here."""

    status = 404
    code = "unknown_model"


class NoModel(PlatformError):
    """Nothing is served yet."""

    status = 503
    code = "no_model"


class Rejoining(PlatformError):
    """This replica was stopped or cut off, and does not know yet whether what it serves is still served."""

    status = 503
    code = "rejoining"


class Stopped(PlatformError):
    """This replica was stopped while it computed the answer, and what it computed with is perhaps no longer served."""

    status = 503
    code = "stopped"


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


class FeedbackOff(PlatformError):
    """There is no log of predictions that feedback could speak of."""

    status = 404
    code = "feedback_off"


class UnknownRequest(PlatformError):
    """Feedback names a request whose answer is not in the log."""

    status = 404
    code = "unknown_request"


class SeveralAnswers(PlatformError):
    """Feedback names an id that answers to different texts have."""

    status = 409
    code = "several_answers"


class UnknownLabel(PlatformError):
    """Feedback has a label that the classifier does not know."""

    status = 400
    code = "unknown_label"


class AlreadyDecided(PlatformError):
    """Another label for the same answer is a row already, or was accepted or refused."""

    status = 409
    code = "already_decided"


class LogAway(PlatformError):
    """The training database does not take feedback now."""

    status = 503
    code = "log_away"


class NoSuchFile(PlatformError):
    """The store of this replica does not have the file."""

    status = 404
    code = "no_such_file"
