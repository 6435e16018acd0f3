"""What the watches of this process have told, so that the API server need not be asked.

**Provably current.** An entry is only ever replaced by one of a later resource
version, and what we write ourselves is entered from the answer: so the cache is
never behind our own deeds. Of what others do it is as old as the watch, which
is heard at least once a minute (bookmarks), or else :meth:`Cache.current` says no.
That an instance is *not* there is believed of nobody but the API server,
unless the watch has shown the end of the very pod that was known.
"""

import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from apisvc.compute import base
from apisvc.compute.kubernetes import anchors, seen, sight

#: Seconds without a word from a watch after which nothing is concluded from it.
SILENCE = 90.0
#: Ends of objects that are remembered.
GRAVES = 20_000


class Entry(Protocol):
    @property
    def uid(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def instance_id(self) -> str: ...


E = TypeVar("E", bound=Entry)


class Known(Generic[E]):
    """The objects of one kind. Not thread-safe; :class:`Cache` is."""

    def __init__(self) -> None:
        self._by_uid: dict[str, E] = {}
        self._uids: dict[str, list[str]] = {}
        #: The last form of what is gone.
        self.graves: collections.OrderedDict[str, E] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._by_uid)

    def of(self, instance_id: str) -> list[E]:
        return [self._by_uid[uid] for uid in self._uids.get(instance_id, ())]

    def uid(self, uid: str) -> E | None:
        return self._by_uid.get(uid)

    def put(self, entry: E) -> bool:
        """Enter it, unless something later is known. Whether that told anything new."""
        before, grave = self._by_uid.get(entry.uid), self.graves.get(entry.uid)
        if (grave and grave.version >= entry.version) or (before and before.version >= entry.version):
            return False
        self.graves.pop(entry.uid, None)  # it had only lost its labels, and has them again
        if before and before.instance_id != entry.instance_id:
            self._forget(before)
        if entry.uid not in self._uids.setdefault(entry.instance_id, []):
            self._uids[entry.instance_id].append(entry.uid)
        self._by_uid[entry.uid] = entry
        return True

    def bury(self, entry: E) -> None:
        """It is gone; ``entry`` is its last form."""
        self._forget(entry)
        self.graves[entry.uid] = entry
        while len(self.graves) > GRAVES:
            self.graves.popitem(last=False)

    def mark(self, entry: E) -> None:
        """Enter what we know of its present form, unless it is gone by now."""
        if entry.uid in self._by_uid:
            self._by_uid[entry.uid] = entry

    def replace(self, entries: Iterable[E], version: int) -> None:
        """Enter a complete list of ``version``: what is not in it, and not later, is gone."""
        listed = set()
        for entry in entries:
            listed.add(entry.uid)
            self.put(entry)
        for uid, known in list(self._by_uid.items()):
            if uid not in listed and known.version <= version:
                self.bury(known)

    def _forget(self, entry: E) -> None:
        known = self._by_uid.pop(entry.uid, None)
        for instance_id in {entry.instance_id, known.instance_id if known else entry.instance_id}:
            uids = self._uids.get(instance_id, [])
            if entry.uid in uids:
                uids.remove(entry.uid)
            if not uids:
                self._uids.pop(instance_id, None)


class Cache:
    """Pods and anchors of one backend, for all its threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pods: Known[seen.Pod] = Known()
        self._anchors: Known[anchors.Anchor] = Known()
        #: Each watch under way -> when it was heard last, of pods and of anchors.
        self._watches: dict[object, tuple[float, float]] = {}

    # The watches

    def heard(self, watch: object, *, pods: bool = False, anchors: bool = False) -> None:
        """The watch is complete up to now in one kind or both."""
        now = self._clock()
        with self._lock:
            before = self._watches.get(watch, (now, now))
            self._watches[watch] = (now if pods else before[0], now if anchors else before[1])

    def silent(self, watch: object) -> bool:
        """Has it not been heard for too long?"""
        with self._lock:
            return self._clock() - min(self._watches.get(watch, (self._clock(),))) > SILENCE

    def end(self, watch: object) -> None:
        with self._lock:
            self._watches.pop(watch, None)
            if not self._watches:
                # Nobody keeps it current, and it need not take memory.
                self._pods, self._anchors = Known(), Known()

    def current(self) -> bool:
        """Does any watch keep it current?"""
        now = self._clock()
        with self._lock:
            return any(now - min(heard) <= SILENCE for heard in self._watches.values())

    # What they and our own requests tell

    def put(self, entry: seen.Pod | anchors.Anchor) -> bool:
        """Enter it. Whether it told anything that matters to anybody: False only for what was known as it is."""
        with self._lock:
            if not self._watches:
                return True
            if isinstance(entry, seen.Pod):
                before = self._pods.uid(entry.uid)
                new = self._pods.put(entry)
                # What is known already may have been entered by ourselves: others wait for the word of the watch.
                return not new or before is None or not _alike(before, entry)
            self._anchors.put(entry)
            return True

    def mark_terminating(self, pod: seen.Pod) -> seen.Pod:
        """The API server has taken our order to delete it; the pod as it is then."""
        observed = dataclasses.replace(pod.observed, phase=base.Phase.DELETING)
        pod = dataclasses.replace(pod, terminating=True, observed=observed)
        with self._lock:
            self._pods.mark(pod)
        return pod

    def bury(self, entry: seen.Pod | anchors.Anchor) -> None:
        with self._lock:
            if isinstance(entry, seen.Pod):
                known = self._pods.uid(entry.uid)
                if known and known.terminating and not entry.terminating:
                    entry = dataclasses.replace(entry, terminating=True)
                self._pods.bury(entry)
            else:
                self._anchors.bury(entry)

    def replace_pods(self, entries: Iterable[seen.Pod], version: int) -> None:
        with self._lock:
            self._pods.replace(entries, version)

    def replace_anchors(self, entries: Iterable[anchors.Anchor], version: int) -> None:
        with self._lock:
            self._anchors.replace(entries, version)

    # What is known

    def of(self, instance_id: str) -> sight.Sight:
        """What is known of an instance; nothing does not mean that there is nothing."""
        with self._lock:
            return choose(self._pods.of(instance_id), self._anchors.of(instance_id))

    def ended(self, uid: str) -> seen.Pod | None:
        """The last form of the pod of this uid, if it has certainly ended; one may have lost only its labels."""
        with self._lock:
            grave = self._pods.graves.get(uid)
        return grave if grave and grave.terminating else None

    def __len__(self) -> int:
        with self._lock:
            return len(self._pods) + len(self._anchors)


def choose(pods: Iterable[seen.Pod], found: Iterable[anchors.Anchor]) -> sight.Sight:
    """The sight of an instance. Of several pods (an adopted one ends while its successor runs) the one that stays."""
    pod = min(pods, key=lambda one: (one.terminating, -one.version), default=None)
    return sight.Sight(pod, max(found, key=lambda one: one.version, default=None))


def _alike(one: seen.Pod, other: seen.Pod) -> bool:
    return (one.observed, one.terminating, one.lost) == (other.observed, other.terminating, other.lost)


def grouped(pods: Iterable[seen.Pod], found: Iterable[anchors.Anchor]) -> Iterator[sight.Sight]:
    """The sights of all instances that have anything."""
    by_id: dict[str, tuple[list[seen.Pod], list[anchors.Anchor]]] = {}
    for pod in pods:
        by_id.setdefault(pod.instance_id, ([], []))[0].append(pod)
    for anchor in found:
        by_id.setdefault(anchor.instance_id, ([], []))[1].append(anchor)
    return (choose(*parts) for parts in by_id.values())
