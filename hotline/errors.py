"""Errors that say whose fault it is and what to do; HTTP status lives in `console.errors` alone."""


class HotlineError(Exception):
    """Base of all expected errors. `hint` tells a person how to mend it; empty where the message already does."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInputError(HotlineError):
    """A caller, form, file or request sent something unusable."""


class NotFoundError(HotlineError):
    """The thing named does not exist, or may not be known to the one who asks."""


class ForbiddenError(HotlineError):
    """The person is known and lacks the right."""


class ConflictError(HotlineError):
    """The thing changed meanwhile, or its state does not allow the action."""


class TooManyRequestsError(HotlineError):
    """The person asks more often than is allowed; waiting for `retry_after_s` seconds helps."""

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float = 60.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class ConfigurationError(HotlineError):
    """A setting, flow, model or file of the site is wrong: found at start, not at 9:30."""


class UnavailableError(HotlineError):
    """A broker, database, recognizer or disk did not answer; trying again later may work."""


class ProtocolError(HotlineError):
    """The far end of a network connection broke its protocol."""


class DamagedError(HotlineError):
    """Stored data is not what was written: changed, cut short, or another's. Trying again does not help."""
