"""The root of every service's errors: one status, one code, one sentence that says what to do."""


class PlatformError(Exception):
    """An error that a client may see, as {"error": {"code", "message"}} with `status`."""

    status = 500
    code = "internal"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
