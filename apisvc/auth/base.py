"""The authentication contract: from a request's credentials to an identity.

Drivers are tried in the configured order (``[auth] drivers``); the first that
knows the credential decides. The docstrings are the specification;
``apisvc.testing.auth`` is the same text as tests.
"""

import abc
from collections.abc import Mapping, Sequence

from oslo_config import cfg

from apisvc.model import identity
from apisvc.storage import base as storage

#: Contract version ``major.minor``; a driver states the one it was written for.
CONTRACT = "1.1"


class AuthDriver(abc.ABC):
    """Entry-point group ``apisvc.auth``; built as ``Driver(conf, store)``.

    ``conf`` is the option group ``[<driver name>]`` with :meth:`options`
    registered; ``__init__`` may raise ValueError naming an option whose value
    cannot be right. It opens nothing, so that it can be built before gunicorn
    forks. One object serves many threads.
    """

    contract: str

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr, store: storage.Store) -> None:
        self.conf = conf
        self.store = store

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        """The options of this driver, each with type, default and help."""
        return ()

    @abc.abstractmethod
    def authenticate(self, headers: Mapping[str, str], *, deadline: float) -> identity.Identity | None:
        """Who sent this. None: the credential is not of a kind this driver knows; ask the next one.

        ``headers`` have upper-case names (``X-AUTH-TOKEN``); their values are
        whatever was sent. Unauthenticated: of our kind, and not (or no longer)
        good; it never repeats the credential. AuthUnavailable (or the store's
        StoreUnavailable): cannot tell now, or not by ``deadline``, an instant
        of ``time.monotonic()``. It is asked anew for every request, so that a
        revoked credential is refused at once, and should be quick.
        """
