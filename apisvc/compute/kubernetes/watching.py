"""Following the pods and anchors of a deployment: list, then watch from there, again after a gap."""

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from apisvc.compute import base
from apisvc.compute.kubernetes import anchors, cache, client, naming, objects, refusals, seen, streams

LOG = logging.getLogger(__name__)

#: Seconds after which the server ends a watch by itself; then it is resumed without a gap.
LASTS = (240, 480)
#: Seconds for a list or for the beginning of a watch.
BEGIN = 30.0
#: Seconds between looks at ``stop``.
LOOK = 0.2

PODS, ANCHORS = "/api/v1/pods", "/api/v1/configmaps"


class Gap(Exception):
    """The server has forgotten what came after the position: list again."""


class Watch:
    """One caller's watch; it keeps the cache current as long as it goes on."""

    def __init__(self, api: client.Client, known: cache.Cache, names: naming.Naming) -> None:
        self._api = api
        self._cache = known
        self._names = names
        self._sink: streams.Sink = queue.Queue(256)
        self._kinds: dict[str, _Kind] = {
            PODS: _Kind(PODS, objects.Pod, objects.PodList, self._pod),
            ANCHORS: _Kind(ANCHORS, objects.ConfigMap, objects.ConfigMapList, self._anchor),
        }

    def run(self, stop: threading.Event) -> Iterator[str]:
        """As :meth:`apisvc.compute.base.Watch.watch`."""
        try:
            while not stop.is_set():
                try:
                    self._list()
                    yield ""
                    yield from self._follow(stop)
                except Gap:
                    LOG.info("The cluster has forgotten how far its watch had come; all is listed anew.")
                    self._close()
        finally:
            self._close()
            self._cache.end(self)

    # The beginning

    def _list(self) -> None:
        """Both lists into the cache, and both watches open from there on."""
        deadline = time.monotonic() + BEGIN
        self._cache.heard(self)  # from now on others enter what they write
        pods, self._kinds[PODS].version = self._api.listed(
            PODS, objects.PodList, deadline=deadline, labelSelector=self._names.ours()
        )
        self._cache.replace_pods(
            [seen.pod(one, self._names) for one in pods], seen.version(self._kinds[PODS].version)
        )
        found, self._kinds[ANCHORS].version = self._api.listed(
            ANCHORS, objects.ConfigMapList, deadline=deadline, labelSelector=self._names.ours()
        )
        self._cache.replace_anchors(
            [anchors.read(one, self._names) for one in found], seen.version(self._kinds[ANCHORS].version)
        )
        for kind in self._kinds.values():
            self._open(kind, deadline)
        self._cache.heard(self, pods=True, anchors=True)

    def _open(self, kind: "_Kind", deadline: float) -> None:
        query: client.Query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": kind.version,
            "labelSelector": self._names.ours(),
            "timeoutSeconds": random.randint(*LASTS),
        }
        try:
            kind.stream = self._api.open(kind.path, deadline=deadline, query=query, sink=self._sink)
        except client.Refused as refused:
            if refused.status == 410:
                raise Gap from None
            raise refused.error from None
        kind.rest = b""

    # The changes

    def _follow(self, stop: threading.Event) -> Iterator[str]:
        while not stop.is_set():
            try:
                stream, item = self._sink.get(timeout=LOOK)
            except queue.Empty:
                if self._cache.silent(self):
                    raise base.Unavailable("The cluster's watch has fallen silent.") from None
                continue
            kind = next((one for one in self._kinds.values() if one.stream is stream), None)
            if kind is None:
                continue  # of one that was closed
            if isinstance(item, bytes):
                yield from self._changes(kind, item)
            else:
                # Its time is over, or it was cut: from the same position on, nothing is missed.
                stream.close()
                self._open(kind, time.monotonic() + BEGIN)
                self._heard(kind)

    def _changes(self, kind: "_Kind", chunk: bytes) -> Iterator[str]:
        *lines, kind.rest = (kind.rest + chunk).split(b"\n")
        told: dict[str, None] = {}
        for line in lines:
            if line and (instance_id := self._change(kind, line)):
                told[instance_id] = None
        self._heard(kind)
        yield from told

    def _change(self, kind: "_Kind", line: bytes) -> str | None:
        """Enter one event; the instance that it is of, if it says anything."""
        change = msgspec.json.decode(line, type=objects.Change)
        if change.type == "ERROR":
            refusal = refusals.read(bytes(change.object))
            if refusal.code == 410:
                raise Gap
            raise refusals.of_answer(refusal.code or 500, bytes(change.object), f"the watch of {kind.path}")
        if change.type == "BOOKMARK":
            kind.version = msgspec.json.decode(change.object, type=objects.Bare).metadata.resource_version
            return None
        found = msgspec.json.decode(change.object, type=kind.single)
        kind.version = found.metadata.resource_version
        entry = kind.read(found)
        if change.type == "DELETED":
            self._cache.bury(entry)
            return str(entry.instance_id)
        return str(entry.instance_id) if self._cache.put(entry) else None

    def _heard(self, kind: "_Kind") -> None:
        self._cache.heard(self, pods=kind.path == PODS, anchors=kind.path == ANCHORS)

    def _pod(self, found: objects.Pod) -> seen.Pod:
        return seen.pod(found, self._names)

    def _anchor(self, found: objects.ConfigMap) -> anchors.Anchor:
        return anchors.read(found, self._names)

    def _close(self) -> None:
        for kind in self._kinds.values():
            if kind.stream is not None:
                kind.stream.close()
                kind.stream = None


class _Kind:
    """One of the two collections, and how far its watch has come."""

    def __init__(self, path: str, single: Any, many: Any, read: Callable[[Any], Any]) -> None:
        self.path = path
        self.single = single
        self.many = many
        self.read = read
        self.version = ""
        self.stream: streams.Stream | None = None
        self.rest = b""
