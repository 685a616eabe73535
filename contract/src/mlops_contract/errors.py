"""The root of every service's errors: one status, one code, one sentence that says what to do."""

_NOT_NOW = (408, 425, 429)


class PlatformError(Exception):
    """An error that a client may see, as {"error": {"code", "message", "passes"}} with `status`.

    `passes`: whether the same call may succeed later with nothing mended; None leaves that to the status, of which 5xx,
    408, 425 and 429 do.
    """

    status = 500
    code = "internal"
    passes: bool | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def can_pass(self) -> bool:
        """`passes`, or what the status says."""
        return self.passes if self.passes is not None else may_pass(self.status)


def may_pass(status: int) -> bool:
    """Whether an answer of this status alone says that the same call may succeed later."""
    return status >= 500 or status in _NOT_NOW
