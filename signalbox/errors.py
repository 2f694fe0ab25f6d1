"""Every error that Signalbox raises on purpose.

SignalboxError
├── UserFault            the caller asked for something that cannot be done as asked      400
│   ├── NotFound         it does not exist, or is not the caller's to see                 404
│   └── TooLarge         a body, a file or a message over its limit                       413
├── NotAllowed           the caller is known and may not                                  403
│   └── NotAuthenticated the caller is not known                                          401
├── Conflict             the state changed meanwhile: decided twice, edited twice         409
├── BudgetSpent          a rate, a queue or a budget is used up; try later                429
├── ToolFault            a tool or a document could not be used; says whether a retry may help 502
├── UpstreamDown         a model, a server or a database does not answer                  503
└── Bug                  our fault                                                        500

A message names what failed and what to do. One mapper for each protocol turns these into replies
(`gateway.errors`, `a2a_bridge.errors`, `mcp_servers.assistant`); nothing else does.
"""

from typing import ClassVar


class SignalboxError(Exception):
    """An error with a stable code, a message for the caller and, where one exists, the thing to do about it."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UserFault(SignalboxError):
    """The request cannot be served as asked; `param` names the field at fault."""

    code = "invalid_request"
    status = 400

    def __init__(self, message: str, *, hint: str = "", param: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.param = param


class NotFound(UserFault):
    """It does not exist, or it is another's: the caller cannot tell which."""

    code = "not_found"
    status = 404


class TooLarge(UserFault):
    """Something is over its limit; the message gives the limit."""

    code = "too_large"
    status = 413


class NotAllowed(SignalboxError):
    """The principal is known and may not do this."""

    code = "not_allowed"
    status = 403


class NotAuthenticated(NotAllowed):
    """No valid credentials came with the request."""

    code = "not_authenticated"
    status = 401


class Conflict(SignalboxError):
    """The thing is no longer in the state that the request assumed."""

    code = "conflict"
    status = 409


class BudgetSpent(SignalboxError):
    """A limit is used up; `retry_after_s` says when to come back, where that is known."""

    code = "budget_spent"
    status = 429

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class ToolFault(SignalboxError):
    """A tool call or a document failed; `retryable` says whether the same call may succeed later."""

    code = "tool_failed"
    status = 502

    def __init__(self, message: str, *, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable


class UpstreamDown(SignalboxError):
    """A process that we depend on does not answer."""

    code = "upstream_down"
    status = 503

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class Bug(SignalboxError):
    """An invariant of ours does not hold."""

    code = "internal"
    status = 500
