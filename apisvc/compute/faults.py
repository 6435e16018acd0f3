"""The closed set of what a compute driver may raise, each with a fixed fate.

Part of the contract; see :mod:`apisvc.compute.base`, which driver authors import.
"""


class DriverError(Exception):
    """The root of the closed set. ``message`` is fit for tenants: no secrets, no addresses of the cloud.

    ``retryable`` fixes the fate: True goes back by itself with back-off and
    jitter (honouring ``retry_after`` seconds), False waits for people.
    """

    code = "driver_bug"
    retryable = True

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.retry_after = retry_after
        super().__init__(self.message)


class InvalidSpec(DriverError):
    """The backend refuses this spec."""

    code, retryable = "invalid_spec", False


class NotFound(DriverError):
    """Something the spec refers to is not there."""

    code, retryable = "not_found", False


class Unauthorized(DriverError):
    """The backend refuses our credentials."""

    # It waits for people too, but for operators, who mend the credentials and not each instance.
    code = "unauthorized"


class BackendQuota(DriverError):
    """A quota of the backend itself is used up."""

    code, retryable = "backend_quota", False


class NoCapacity(DriverError):
    """There is no room for it now."""

    code = "no_capacity"


class Unavailable(DriverError):
    """The backend cannot be reached."""

    code = "unavailable"


class RateLimited(DriverError):
    """The backend asks us to slow down."""

    code = "rate_limited"


class Timeout(DriverError):
    """The backend did not answer in time; what was asked may or may not happen."""

    code = "timeout"


class InProgress(DriverError):
    """The backend is still busy with an earlier request."""

    code = "in_progress"


class DriverBug(DriverError):
    """The driver met something it does not know."""

    code = "driver_bug"


#: The closed set, as documentation and tests iterate it.
ERRORS: tuple[type[DriverError], ...] = (
    InvalidSpec,
    NotFound,
    Unauthorized,
    BackendQuota,
    NoCapacity,
    Unavailable,
    RateLimited,
    Timeout,
    InProgress,
    DriverBug,
)
