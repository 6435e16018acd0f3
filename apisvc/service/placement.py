"""Which backend gets a new instance: filters first, then the highest score. The reads are the resolver's.

A backend takes the instance when the operator has it enabled and lets the tenant
use it, the last look at it found it healthy, it is of the kind and has the
capabilities that were asked for, it knows the image, its driver accepts the
fields that are set, and some ready, schedulable node has room for the flavor.
What is not known (no worker has looked yet, the backend tells no nodes) is no
reason against it.

Of those that take it, the one with the highest score gets it::

    score = weight * free / (1 + instances + own)

``weight``: the operator's (0: only when no other will do). ``free``: the share
of its capacity that would be left, of the scarcest amount; one half when not
known. ``instances``: those there at the last look, of all tenants. ``own``:
those of the tenant, exactly. So of two backends that are alike, each gets what
is its share by weight; and a burst of one tenant is spread although looks come
seconds apart. Of equal scores, the one configured first gets it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import backends, catalogue, codec, instances, keys
from apisvc.service import images, records
from apisvc.storage import base as storage

#: By backend name.
OperatorRecords = Mapping[str, codec.Versioned[backends.Backend]]

#: The share taken for free of a capacity that is not known.
UNKNOWN_FREE = 0.5


class Candidate(msgspec.Struct, frozen=True):
    """A configured backend with what the store says of it."""

    loaded: compute.LoadedBackend
    operator: backends.Backend | None = None
    health: backends.BackendHealth | None = None

    def open_to(self, tenant_id: str) -> bool:
        """Whether the operator lets the tenant use it. One that may not is not even told that it is there."""
        return allows(self.operator, tenant_id)

    @property
    def weight(self) -> int:
        return backends.WEIGHT if self.operator is None else self.operator.weight


class Wish(msgspec.Struct, frozen=True):
    """What an instance needs of its backend."""

    image: catalogue.Image
    vcpus: int
    ram_mb: int
    disk_gb: int
    #: Those of ``compute.OPTIONAL_FIELDS`` that the request sets.
    fields: Collection[str] = ()
    #: Asked for by name; the kind of driver; capabilities.
    backend: str | None = None
    driver: str | None = None
    requires: Sequence[str] = ()


class Ranked(msgspec.Struct, frozen=True):
    """A backend that takes the instance, and why it is where it is."""

    backend: str
    score: float
    weight: int
    #: 0.0 to 1.0; None: not known.
    free: float | None
    instances: int
    own: int


class Decision(msgspec.Struct, frozen=True):
    """Where it goes (the first of ``ranked``), and why not elsewhere."""

    backend: compute.LoadedBackend
    reference: str
    ranked: Sequence[Ranked]
    rejected: Sequence[Mapping[str, str]]

    def detail(self) -> dict[str, Any]:
        """For the instance's event.

        APPSEC: The tenant reads it; what others have there is not told.
        """
        return {
            "ranked": [
                {"backend": one.backend, "score": one.score, "weight": one.weight, "own": one.own}
                for one in self.ranked
            ],
            "rejected": [dict(one) for one in self.rejected],
        }


def operator_records(store: storage.Store, names: Sequence[str], *, deadline: float) -> OperatorRecords:
    """The operator's word on each of ``names`` that has one."""
    wanted = [keys.join(keys.BACKENDS, name) for name in names]
    found = records.get_many(store, wanted, backends.Backend, deadline=deadline)
    return {name: record for name, record in zip(names, found, strict=True) if record is not None}


def candidates(
    loaded: Mapping[str, compute.LoadedBackend], found: Mapping[str, storage.Record]
) -> dict[str, Candidate]:
    """The configured backends with their records, as read from :func:`keys_of`."""

    def of(prefix: str, name: str, kind: Any) -> Any:
        record = found.get(keys.join(prefix, name))
        return None if record is None else codec.decode(record.value, kind)

    return {
        name: Candidate(
            backend,
            of(keys.BACKENDS, name, backends.Backend),
            of(keys.BACKEND_HEALTH, name, backends.BackendHealth),
        )
        for name, backend in loaded.items()
    }


def keys_of(loaded: Iterable[str]) -> list[str]:
    """The keys of all records that a choice looks at."""
    return [keys.join(prefix, name) for name in loaded for prefix in (keys.BACKENDS, keys.BACKEND_HEALTH)]


def choose(
    candidates: Mapping[str, Candidate], wish: Wish, tenant_id: str, own: Mapping[str, int]
) -> Decision:
    """The backend for a new instance of the tenant, of which ``own`` says how many are where.

    ``candidates`` are in the configured order.

    :raises InvalidRequest: there is no backend of the name asked for, or no such capability.
    :raises NoBackend: none will do; says why not for each.
    """
    # APPSEC: Others' backends are to the tenant as if they were not there.
    visible = {name: one for name, one in candidates.items() if one.open_to(tenant_id)}
    _check(wish, visible)
    if wish.backend is not None:
        visible = {wish.backend: visible[wish.backend]}
    ranked: list[Ranked] = []
    rejected: list[dict[str, str]] = []
    for name, candidate in visible.items():
        if reason := _why_not(candidate, wish):
            rejected.append({"backend": name, "reason": reason})
        else:
            ranked.append(_rank(candidate, wish, own.get(name, 0)))
    if not ranked:
        raise errors.NoBackend(
            "No backend takes this instance: "
            + ("; ".join(f"{r['backend']}: {r['reason']}" for r in rejected) or "there is none")
            + ".",
            rejected=rejected,
        )
    ranked.sort(key=lambda one: one.score, reverse=True)  # stable: equals stay as configured
    chosen = visible[ranked[0].backend].loaded
    return Decision(chosen, images.reference(wish.image, chosen) or "", ranked, rejected)


def allows(operator: backends.Backend | None, tenant_id: str) -> bool:
    """Whether the operator lets the tenant use the backend."""
    return operator is None or operator.tenants is None or tenant_id in operator.tenants


def set_fields(spec: instances.Spec) -> list[str]:
    """Those of the fields that a driver may be unable to honour that ``spec`` sets."""
    return [name for name in _OPTIONAL if getattr(spec, name) != _DEFAULTS[name]]


def refusal(driver: compute.ComputeDriver, driver_name: str, fields: Collection[str]) -> str | None:
    """Why a driver cannot have an instance with these fields set; None: it can."""
    refused = sorted(set(fields) - driver.accepts) if fields else []
    return f"its driver {driver_name!r} takes no {', '.join(refused)}" if refused else None


def _check(wish: Wish, visible: Mapping[str, Candidate]) -> None:
    if wish.backend is not None and wish.backend not in visible:
        raise errors.InvalidRequest(
            f"There is no backend {wish.backend!r}.",
            errors=(
                errors.FieldError("/backend", f"must be one of: {', '.join(visible) or 'there is none'}"),
            ),
        )
    for index, name in enumerate(wish.requires):
        if name not in compute.CAPABILITIES:
            raise errors.InvalidRequest(
                f"There is no capability {name!r}.",
                errors=(
                    errors.FieldError(
                        f"/requires/{index}", f"must be one of: {', '.join(sorted(compute.CAPABILITIES))}"
                    ),
                ),
            )


def _why_not(candidate: Candidate, wish: Wish) -> str | None:
    """Why the backend does not take it; None: it does. The cheap and the lasting reasons first."""
    backend, operator, health = candidate.loaded, candidate.operator, candidate.health
    if operator is not None and operator.state is not backends.BackendState.ENABLED:
        return f"it is {operator.state.value}"
    if wish.driver not in (None, backend.driver_name):
        return f"its driver is {backend.driver_name!r}"
    # PERF: what a driver can do is looked up in its classes.
    if wish.requires and (missing := sorted(set(wish.requires).difference(backend.capabilities))):
        return f"its driver {backend.driver_name!r} lacks {', '.join(missing)}"
    if images.reference(wish.image, backend) is None:
        return f"image {wish.image.name!r} has no reference for {backend.driver_name!r}"
    if refused := refusal(backend.driver, backend.driver_name, wish.fields):
        return refused
    if health is not None and not health.healthy:
        return "it cannot be reached"
    size = (wish.vcpus, wish.ram_mb, wish.disk_gb)
    if health is not None and health.capacity is not None and not health.capacity.holds(*size):
        return "no node of it has {} vcpus, {} MiB of memory and {} GiB of disk free".format(*size)
    return None


def _rank(candidate: Candidate, wish: Wish, own: int) -> Ranked:
    health = candidate.health
    free = _free(health.capacity, wish) if health and health.capacity else None
    there = health.instances if health else 0
    share = UNKNOWN_FREE if free is None else free
    return Ranked(
        backend=candidate.loaded.name,
        score=round(candidate.weight * share / (1 + there + own), 9),
        weight=candidate.weight,
        free=None if free is None else round(free, 6),
        instances=there,
        own=own,
    )


def _free(capacity: backends.Capacity, wish: Wish) -> float | None:
    """The share of the scarcest amount that is left with the instance there; None: no amount is known."""
    shares = [
        max(0.0, (left - asked) / total)
        for asked, left, total in (
            (wish.vcpus, capacity.free.vcpus, capacity.total.vcpus),
            (wish.ram_mb, capacity.free.ram_mb, capacity.total.ram_mb),
            (wish.disk_gb, capacity.free.disk_gb, capacity.total.disk_gb),
        )
        if left is not None and total
    ]
    return min(shares) if shares else None


_OPTIONAL = sorted(compute.OPTIONAL_FIELDS)
_DEFAULTS: Mapping[str, Any] = {
    field.name: field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    for field in msgspec.structs.fields(instances.Spec)
    if field.name in compute.OPTIONAL_FIELDS
}
