"""What the nodes of a backend have free, in few words: for the choice of a backend. Pure."""

from collections.abc import Iterable, Sequence

from apisvc.compute import base as compute
from apisvc.model import backends

#: Rooms that a health record has at most.
MOST_ROOMS = 16

_AMOUNTS = ("vcpus", "ram_mb", "disk_gb")


def summary(nodes: Sequence[compute.Node], now: float) -> backends.Capacity:
    """What those of ``nodes`` that take new instances have, at the instant ``now``.

    An amount that one of them cannot tell is not known in the sums either.
    """
    taking = [node for node in nodes if node.ready and node.schedulable]
    free = [_free(node) for node in taking]
    return backends.Capacity(
        at=now,
        nodes=len(taking),
        total=_sum([backends.Room(vcpus=n.vcpus, ram_mb=n.ram_mb, disk_gb=n.disk_gb) for n in taking]),
        free=_sum(free),
        rooms=_few(_best(free)),
    )


def _free(node: compute.Node) -> backends.Room:
    def left(total: float | None, used: float | None) -> float | None:
        return None if total is None else max(0, total - (used or 0))

    return _room(
        left(node.vcpus, node.vcpus_used),
        left(node.ram_mb, node.ram_mb_used),
        left(node.disk_gb, node.disk_gb_used),
    )


def _best(rooms: Iterable[backends.Room]) -> list[backends.Room]:
    """Those that no other equals or exceeds in everything, largest first."""
    found: list[backends.Room] = []
    for room in sorted(rooms, key=_rank, reverse=True):
        # What comes later is never larger in everything.
        if not any(all(a >= b for a, b in zip(_rank(one), _rank(room), strict=True)) for one in found):
            found.append(room)
    return found


def _few(rooms: list[backends.Room]) -> tuple[backends.Room, ...]:
    """At most :data:`MOST_ROOMS`: one that has the most of each amount stands for those beyond.

    It promises more than there is, which the backend then refuses; less would
    turn away what fits.
    """
    if len(rooms) <= MOST_ROOMS:
        return tuple(rooms)
    beyond = [_rank(room) for room in rooms[MOST_ROOMS - 1 :]]
    most = [max(column) for column in zip(*beyond, strict=True)]
    return *rooms[: MOST_ROOMS - 1], _room(*(None if one == _UNKNOWN else one for one in most))


#: More than any amount: what is not known is no reason to turn anything away.
_UNKNOWN = float("inf")


def _rank(room: backends.Room) -> tuple[float, ...]:
    return tuple(_UNKNOWN if (amount := getattr(room, name)) is None else float(amount) for name in _AMOUNTS)


def _sum(rooms: Sequence[backends.Room]) -> backends.Room:
    columns = [[getattr(room, name) for room in rooms] for name in _AMOUNTS]
    return _room(*(None if None in column else sum(column) for column in columns))


def _room(vcpus: float | None, ram_mb: float | None, disk_gb: float | None) -> backends.Room:
    return backends.Room(
        vcpus=None if vcpus is None else float(vcpus),
        ram_mb=None if ram_mb is None else int(ram_mb),
        disk_gb=None if disk_gb is None else int(disk_gb),
    )
