"""An authentication driver: a proxy in front of apisvc has authenticated the caller and says who it is.

The proxy (one that speaks OpenID Connect, say) removes both headers from what
it is sent, and sets ``X-Remote-User`` to a user's name and ``X-Remote-Secret``
to what it shares with apisvc.
"""

import hmac
from collections.abc import Mapping, Sequence

from oslo_config import cfg

from apisvc import errors
from apisvc.auth import base
from apisvc.model import identity
from apisvc.service import users
from apisvc.storage import base as storage


class ProxyAuth(base.AuthDriver):
    contract = "1.0"

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr, store: storage.Store) -> None:
        super().__init__(conf, store)
        if len(conf.secret or "") < 16:
            raise ValueError("secret has to have at least 16 characters")
        self._secret = conf.secret.encode()

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return [cfg.StrOpt("secret", secret=True, help="What the proxy sends as X-Remote-Secret.")]

    def authenticate(self, headers: Mapping[str, str], *, deadline: float) -> identity.Identity | None:
        name = headers.get("X-REMOTE-USER")
        if name is None:
            return None
        sent = headers.get("X-REMOTE-SECRET", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(sent, self._secret):
            raise errors.Unauthenticated("This does not come from the proxy.")
        # Read anew each time, so that a user who is disabled is refused at once.
        found = users.NAMED.find(self.store, name, deadline=deadline)
        if found is None or not found.value.enabled:
            raise errors.Unauthenticated("There is no such user, or it is disabled.")
        user = found.value
        return identity.Identity(user_id=user.id, user_name=user.name, admin=user.admin, source="proxy")
