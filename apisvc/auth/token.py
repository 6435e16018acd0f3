"""The ``token`` driver: apisvc's own tokens, looked up by their hash."""

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping

import msgspec
from oslo_config import cfg

from apisvc import errors
from apisvc.auth import base
from apisvc.model import codec, identity, keys, users
from apisvc.storage import base as storage

LOG = logging.getLogger(__name__)

_BEARER = re.compile(r"bearer +(.+)", re.IGNORECASE)
_REFUSED = "This token is not good: it is unknown, has expired or was revoked, or its user is disabled."


class TokenAuth(base.AuthDriver):
    """Two store reads a request: the token by its hash, then its user.

    Both are read anew each time, so that revoking the one or disabling the
    other is effective at once. Whatever is wrong is answered alike.
    """

    contract = base.CONTRACT

    def __init__(
        self,
        conf: cfg.ConfigOpts.GroupAttr,
        store: storage.Store,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(conf, store)
        self._clock = clock
        self.uses = Uses(store, conf.use_interval)

    def authenticate(self, headers: Mapping[str, str], *, deadline: float) -> identity.Identity | None:
        text = _text(headers)
        if text is None or not text.startswith(users.TOKEN_PREFIX):
            return None
        digest = users.token_digest(text)
        if digest is None:
            raise errors.Unauthenticated(_REFUSED)
        key = keys.TOKENS + digest
        record = self.store.get([key], deadline=deadline).records.get(key)
        if record is None:
            raise errors.Unauthenticated(_REFUSED)
        token = codec.decode(record.value, users.Token)
        owner = keys.USERS + token.user_id  # PERF: ids need no keys.join
        record = self.store.get([owner], deadline=deadline).records.get(owner)
        user = codec.decode(record.value, users.User) if record else None
        now = self._clock()
        expired = token.expires_at is not None and token.expires_at <= now
        if user is None or not user.enabled or expired:
            raise errors.Unauthenticated(_REFUSED)
        self.uses.note(key, token.last_used_at, now)
        return identity.Identity(
            user_id=user.id,
            user_name=user.name,
            admin=user.admin and token.admin and token.tenant_id is None and token.role is None,
            scope_tenant_id=token.tenant_id,
            scope_role=token.role,
            token_id=token.id,
        )


def _text(headers: Mapping[str, str]) -> str | None:
    """What was sent as a token, of any kind; X-Auth-Token before Authorization."""
    text = headers.get("X-AUTH-TOKEN")
    if text is not None:
        return text.strip()
    bearer = _BEARER.fullmatch(headers.get("AUTHORIZATION", "").strip())
    return bearer[1] if bearer else None


class Uses:
    """Notes when tokens are used, seldom and outside the request; best effort.

    A use that is worth noting starts a timer; what came together until it ends
    is written by its thread. Where nothing is noted nothing runs, and the thread
    keeps no process from ending.
    """

    #: Seconds from a use to its note: one thread then serves many tokens.
    delay = 1.0
    #: Seconds that the notes of one round may take.
    patience = 5.0

    def __init__(self, store: storage.Store, interval: float) -> None:
        self._store = store
        self._interval = interval
        self._lock = threading.Lock()
        #: Key of the token -> when it was used; what waits for the timer.
        self._waiting: dict[str, float] = {}
        #: The same for what was taken lately, which the store may not show yet.
        self._lately: dict[str, float] = {}
        self._timer: threading.Timer | None = None

    def note(self, key: str, noted_at: float | None, now: float) -> None:
        """The token under ``key``, whose record says ``noted_at``, was used ``now``."""
        last = max(noted_at or 0.0, self._lately.get(key, 0.0))
        if now - last < self._interval:
            return
        with self._lock:
            first = not self._waiting
            self._waiting[key] = self._lately[key] = now
            if first:
                self._timer = threading.Timer(self.delay, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def stop(self) -> None:
        """Forget what waits."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._waiting.clear()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            newest = max(waiting.values(), default=0.0)
            self._lately = {k: at for k, at in self._lately.items() if newest - at < self._interval}
        deadline = time.monotonic() + self.patience
        try:
            for key, at in waiting.items():
                self._write(key, at, deadline)
        except errors.ApisvcError as error:
            LOG.warning("The last use of some tokens was not noted: %s", error.detail)

    def _write(self, key: str, at: float, deadline: float) -> None:
        record = self._store.get([key], deadline=deadline).records.get(key)
        if record is None:
            return  # revoked meanwhile
        token = msgspec.structs.replace(codec.decode(record.value, users.Token), last_used_at=at)
        try:
            self._store.commit(
                [storage.AtRevision(key, record.revision)],
                [storage.Put(key, codec.encode(token))],
                deadline=deadline,
            )
        except storage.Conflict:
            LOG.debug("Token %s changed while its last use was noted; the next use will be.", token.id)
