"""What goes wrong, as one sentence and an exit code."""

import enum


class Exit(enum.IntEnum):
    """The exit codes: public API for scripts."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    AUTH = 4
    WAIT_TIMEOUT = 5
    UNAVAILABLE = 6
    CONFLICT = 7
    QUOTA = 8
    WAIT_FAILED = 9
    INTERRUPTED = 130
    BROKEN_PIPE = 141


#: What each says, for the help and the documentation.
MEANINGS = {
    Exit.OK: "done",
    Exit.ERROR: "refused by the API for another reason than those below",
    Exit.USAGE: "wrong usage or configuration",
    Exit.NOT_FOUND: "there is no such thing, or none that you may see",
    Exit.AUTH: "no valid token, or your role does not allow it",
    Exit.WAIT_TIMEOUT: "--wait: not there yet after --wait-timeout; it goes on",
    Exit.UNAVAILABLE: "the service cannot be reached, or cannot answer now",
    Exit.CONFLICT: "not possible as things stand: exists, wrong state, changed meanwhile",
    Exit.QUOTA: "the tenant's quota does not have room for it",
    Exit.WAIT_FAILED: "--wait: it failed, ended or vanished",
    Exit.INTERRUPTED: "interrupted",
    Exit.BROKEN_PIPE: "the reader of our output went away",
}

_TABLE = "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())

EPILOG = f"""\
exit codes:
{_TABLE}

whom to talk to, the first that says so:
  --url, --token, --tenant
  APISVC_URL, APISVC_TOKEN, APISVC_TENANT, APISVC_CACERT
  the profile (--profile, APISVC_PROFILE, else "default"), written by 'apisvc configure'
"""


class UsageError(Exception):
    """The command line, a profile or a file it names is wrong. Its text is the sentence."""


def explain(error: BaseException) -> tuple[Exit, str] | None:
    """The exit code and the text for an error a user can meet; None: it is a bug of ours."""
    if isinstance(error, UsageError) or type(error) is ValueError:
        # A plain ValueError is said of an option's value: an empty name, a column that is not there.
        return Exit.USAGE, str(error)
    from apisvc.client import errors

    if isinstance(error, errors.ApiError):
        return _code(error), _sentence(error)
    for kind, code in (
        (errors.WaitTimeout, Exit.WAIT_TIMEOUT),
        (errors.WaitFailed, Exit.WAIT_FAILED),
        (errors.Unreachable, Exit.UNAVAILABLE),
        (errors.DeadlineExceeded, Exit.UNAVAILABLE),
        (errors.ClientError, Exit.ERROR),
    ):
        if isinstance(error, kind):
            return code, str(error)
    return None


def _code(error: Exception) -> Exit:
    from apisvc.client import errors

    for kind, code in (
        (errors.NotFound, Exit.NOT_FOUND),
        (errors.QuotaExceeded, Exit.QUOTA),
        (errors.Unauthenticated, Exit.AUTH),
        (errors.Forbidden, Exit.AUTH),
        (errors.Conflict, Exit.CONFLICT),
        (errors.PreconditionFailed, Exit.CONFLICT),
        (errors.ServiceUnavailable, Exit.UNAVAILABLE),
        (errors.TooManyRequests, Exit.UNAVAILABLE),
    ):
        if isinstance(error, kind):
            return code
    return Exit.ERROR


def _sentence(error: Exception) -> str:
    """The detail, what is wrong where, and the request id to quote to an operator."""
    from apisvc.client import errors

    assert isinstance(error, errors.ApiError)
    lines = [error.detail]
    lines += [f"  {item}" for item in error.errors if str(item) not in error.detail]
    if error.request_id:
        lines[-1] += f" [{error.request_id}]"
    return "\n".join(lines)
