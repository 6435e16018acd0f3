"""The way into one cloud: connections of openstacksdk, made when they are needed and shared by all threads.

The SDK is imported with the first call: it is slow and large, and most
processes that load the driver for its options never talk to a cloud.
"""

import collections
import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from oslo_config import cfg

from apisvc.compute import base
from apisvc.compute.openstack import options

LOG = logging.getLogger(__name__)

_UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")

#: Connections to tenants' projects that are kept.
_KEPT = 200


def named(find: Callable[..., Iterable[Any]], name_or_id: str, **scope: Any) -> list[Any]:
    """What a list of the cloud's has of an id or a name, in one question of the usual kind.

    PERF: the SDK's own ``find_`` asks for each name as an id first.
    """
    if _UUID.fullmatch(name_or_id) and (found := list(find(id=name_or_id, **scope))):
        return found
    return [one for one in find(name=name_or_id, **scope) if one.name == name_or_id]


class Connections:
    """One cloud as one backend sees it; nothing is shared with another."""

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr) -> None:
        self._conf = conf
        self._lock = threading.Lock()
        self._clock: Any = None
        self._home: Any = None
        self._ids: dict[str, str] = {}
        self._projects: collections.OrderedDict[str, Any] = collections.OrderedDict()

    @property
    def shared(self) -> bool:
        """Whether all tenants live in the project that we log in to."""
        return bool(self._conf.tenancy == options.SHARED_PROJECT)

    @contextlib.contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Within, what this thread asks of the cloud is answered by ``deadline`` or a timeout."""
        clock = self._the_clock()
        before = clock.set(deadline)
        try:
            yield
        finally:
            clock.set(before)

    def home(self) -> Any:
        """The connection as it is configured: an ``openstack.connection.Connection``."""
        with self._lock:
            if self._home is None:
                self._home = self._connect()
            return self._home

    def project(self, project_id: str) -> Any:
        """One whose token is for a tenant's project."""
        home = self.home()
        if self.shared or project_id == home.current_project_id:
            return home
        with self._lock:
            found = self._projects.pop(project_id, None)
            if found is None:
                found = home.connect_as(project_id=project_id)
            self._projects[project_id] = found
            while len(self._projects) > _KEPT:
                self._projects.popitem(last=False)
            return found

    def as_user(self, user_id: str, password: str, project_id: str) -> Any:
        """One for somebody else, which is not kept."""
        home = self.home()
        return home.connect_as(user_id=user_id, password=password, project_id=project_id)

    def forget(self) -> None:
        """Log in anew with the next call, by clouds.yaml as it is then."""
        with self._lock:
            self._home = None
            self._ids.clear()
            self._projects.clear()

    def close(self) -> None:
        with self._lock:
            connections = [*self._projects.values(), *([self._home] if self._home else [])]
            self._home = None
            self._projects.clear()
        for connection in connections:
            connection.session.session.close()
            connection.close()

    def secret(self) -> str:
        """What we prove ourselves to the cloud with, or ""."""
        auth = self.home().config.auth
        return str(auth.get("password") or auth.get("application_credential_secret") or "")

    def has(self, service: str) -> bool:
        """Whether the catalogue lists the service, such as ``block-storage``."""
        return self.home().endpoint_for(service) is not None

    def once(self, what: str, find: Callable[[], str]) -> str:
        """An id that does not change while we are logged in, asked for once."""
        with self._lock:
            known = self._ids.get(what)
        if known is None:
            known = find()
            with self._lock:
                self._ids[what] = known
        return known

    def _the_clock(self) -> Any:
        with self._lock:
            if self._clock is None:
                from apisvc.compute.openstack import session

                self._clock = session.Clock(self._conf.api_timeout)
            return self._clock

    def _connect(self) -> Any:
        from openstack import config as sdk_config
        from openstack import connection, exceptions

        from apisvc.compute.openstack import session

        conf, clock = self._conf, self._clock or session.Clock(self._conf.api_timeout)

        def make_session(**kwargs: Any) -> session.Session:
            return session.Session(clock, conf.api_retries, **kwargs)

        places: dict[str, Any] = {"load_yaml_config": bool(conf.cloud), "load_envvars": False}
        if conf.cloud and conf.clouds_yaml:
            places["config_files"] = [conf.clouds_yaml]
        chosen: dict[str, Any] = {"interface": conf.interface}
        if conf.cloud:
            chosen["cloud"] = conf.cloud
        else:
            chosen["auth"] = dict(options.inline_auth(conf))
            if conf.application_credential_id:
                chosen["auth_type"] = "v3applicationcredential"
        for name, value in (("region_name", conf.region), ("cacert", conf.cacert)):
            if value:
                chosen[name] = value
        if conf.insecure:
            chosen["verify"] = False
        try:
            loader = sdk_config.OpenStackConfig(
                session_constructor=cast(Any, make_session), app_name="apisvc", **places
            )
            made = connection.Connection(config=loader.get_one(**chosen))
        except exceptions.ConfigException as error:
            # Its text names the cloud and the files looked into, no secrets; operators read it, not tenants.
            raise base.Unauthorized(
                f"The backend's way into its cloud cannot be understood: {error}"
            ) from error
        return made
