"""Backends that have instances and are not served: nobody could see to those instances."""

from collections.abc import Collection

from apisvc import errors
from apisvc.service import ledgers
from apisvc.storage import base as storage


def require_none(
    store: storage.Store, served: Collection[str], waived: Collection[str], *, deadline: float | None
) -> dict[str, int]:
    """How many instances are on each backend that has any, all of them ``served`` or ``waived`` by the operator.

    :raises StartError: some are not.
    :raises StoreUnavailable: the store cannot be asked.
    """
    found = ledgers.on_backends(store, deadline=deadline)
    lacking = {name: found[name] for name in sorted(found) if name not in served and name not in waived}
    if lacking:
        raise errors.StartError(" ".join(_line(name, count) for name, count in lacking.items()))
    return found


def _line(name: str, count: int) -> str:
    instances = "1 instance" if count == 1 else f"{count} instances"
    return (
        f"[DEFAULT] enabled_backends lacks {name!r}, which still has {instances}: put it back, drain it (apisvc "
        f"backend set {name} --state draining) and delete them first; or name it in [DEFAULT] unserved_backends "
        "to go on without them."
    )
