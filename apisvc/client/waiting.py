"""Waiting for an instance: the feed says when to look, the instance says what is."""

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any

from apisvc.client import errors, wire

if TYPE_CHECKING:
    from apisvc.client.client import Client

#: The word for "no longer there" among the states.
GONE = "gone"
#: Seconds between looks where the feed cannot be had.
POLL = 1.0

Dict = dict[str, Any]

_PASSING = (
    errors.DeadlineExceeded,
    errors.Unreachable,
    errors.ServiceUnavailable,
    errors.TooManyRequests,
)


def wait(
    api: "Client",
    instance: Dict,
    states: Collection[str],
    timeout: float,
    changed: Callable[[Dict], None] | None,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Dict | None:
    """Until ``instance`` (an answer of the API) is in one of ``states``; ``gone`` is one too.

    What was seen before the service took notice of the last change (its
    ``generation``) does not count. Returns the instance as it then is, None
    for gone. ``changed`` is told whenever the state, fault or generation moved.

    Raises WaitTimeout after ``timeout`` seconds, and WaitFailed when it is
    gone, has ended where it should run, or is in ``error`` with a fault that
    does not go away by itself.
    """
    deadline = clock() + timeout
    tenant, id_ = instance["tenant_id"], instance["id"]
    least = instance["generation"]
    told: object = None
    signals: Iterator[None] | None = None
    last = instance
    while True:
        left = deadline - clock()
        if left <= 0:
            state = last["status"]["state"]
            raise errors.WaitTimeout(
                f"Instance {last['name']} is still {state} after {timeout:g} seconds.", last
            )
        try:
            last = api.instances.get(tenant, id_, timeout=min(left, api.timeout))
        except errors.NotFound:
            if GONE in states:
                return None
            raise errors.WaitFailed(f"Instance {last['name']} is gone.", None) from None
        except _PASSING:
            # The service restarts perhaps; there is time left.
            sleep(min(POLL, left))
            continue
        news = (last["status"]["state"], last["status"].get("fault"), last["generation"])
        if changed and news != told:
            told = news
            changed(last)
        if _reached(last, states, least):
            return last
        if signals is None:
            signals = _signals(api, last, deadline, clock, sleep)
        next(signals)


def _reached(instance: Dict, states: Collection[str], least: int) -> bool:
    """Whether it is there; WaitFailed when it cannot get there by itself."""
    status = instance["status"]
    state = status["state"]
    if status["observed_generation"] < least:
        return False
    if state in states:
        return True
    if state == "stopped" and "active" in states:
        code = status.get("exit_code")
        how = "" if code is None else f" with exit code {code}"
        raise errors.WaitFailed(f"Instance {instance['name']} has ended{how}.", instance)
    fault = status.get("fault")
    if state == "error" and fault and not fault["retryable"]:
        raise errors.WaitFailed(
            f"Instance {instance['name']} is in error: {fault['message']} ({fault['code']})", instance
        )
    return False


def _signals(
    api: "Client",
    instance: Dict,
    deadline: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[None]:
    """One item whenever it is worth to look again: an event of the instance, else every POLL seconds."""
    path = wire.path("tenants", instance["tenant_id"], "instances", instance["id"], "events")
    try:
        for _ in api.follow(path, instance["revision"], until=deadline):
            yield
    except errors.DeadlineExceeded:
        yield
    except errors.ClientError:
        # No feed for us (too many streams, a proxy that buffers, an older service): look by the clock.
        pass
    while True:
        sleep(max(0.0, min(POLL, deadline - clock())))
        yield
