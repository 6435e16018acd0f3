"""The way to one cluster: its address, credentials and connections, from the ``kubernetes`` package.

PERF: importing that package costs about half a second and 20 MB, so it is done
when the first request is made and not when a driver is loaded: a process that
only reads its configuration, or an API process that nobody asks for logs, never
pays for it. Each backend has a configuration and connections of its own;
``Configuration.set_default`` is never called.
"""

import logging
import os
import socket
import threading
import time
from typing import Any

import urllib3
import yaml
from urllib3 import connection

from apisvc.compute import base
from apisvc.compute.kubernetes import options

LOG = logging.getLogger(__name__)

#: Seconds before credentials are read anew once more.
RELOAD_EVERY = 1.0
#: Half-open connections are found within about 25 seconds.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


class Session:
    """An address with credentials and a pool of connections."""

    def __init__(self, settings: options.Settings) -> None:
        """:raises Unavailable: the kubeconfig cannot be read or understood."""
        #: A ``kubernetes.client.Configuration``; also for what opens connections of its own.
        self.configuration: Any = _configuration(settings)
        self.opened = time.monotonic()
        from kubernetes.client import rest

        pool = rest.RESTClientObject(self.configuration).pool_manager
        pool.connection_pool_kw["socket_options"] = [
            *connection.HTTPConnection.default_socket_options,
            *_KEEPALIVE,
        ]
        pool.connection_pool_kw["maxsize"] = 32
        self.pool: urllib3.PoolManager = pool
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        return str(self.configuration.host)

    def headers(self) -> dict[str, str]:
        """The credentials as they are now; they may renew themselves.

        :raises Unavailable: they cannot.
        """
        from kubernetes import config

        try:
            with self._lock:
                found = self.configuration.auth_settings().get("BearerToken")
        except (config.ConfigException, OSError, ValueError) as error:
            LOG.error("The credentials for the cluster cannot be renewed: %s", error)
            raise base.Unavailable("The credentials for the cluster cannot be read.") from error
        return {"authorization": found["value"]} if found and found["value"] else {}

    def close(self) -> None:
        self.pool.clear()


class Sessions:
    """The present session of a backend."""

    def __init__(self, settings: options.Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._session: Session | None = None

    def get(self) -> Session:
        """:raises Unavailable: as Session."""
        with self._lock:
            if self._session is None:
                self._session = Session(self._settings)
            return self._session

    def renew(self, refused: Session) -> Session | None:
        """A session with credentials read after ``refused``; None: they have just been read."""
        with self._lock:
            if self._session is not refused and self._session is not None:
                return self._session
            if time.monotonic() - refused.opened < RELOAD_EVERY:
                return None
            self._session = Session(self._settings)
            # Streams of the old one go on; its connections close when the last is done.
            return self._session

    def close(self) -> None:
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None


def _configuration(settings: options.Settings) -> Any:
    from kubernetes import client, config

    made = client.Configuration()
    made.retries = False
    try:
        if settings.kubeconfig is None:
            config.load_incluster_config(client_configuration=made)
            return made
        content, folder = settings.kubeconfig, None
        if isinstance(content, str):
            folder = os.path.dirname(content)
            with open(content) as file:
                content = yaml.safe_load(file)
        if not isinstance(content, dict):
            raise config.ConfigException("it is no mapping")
        loader = config.kube_config.KubeConfigLoader(
            config_dict=content, active_context=settings.context, config_base_path=folder
        )
        loader.load_and_set(made)
    except (config.ConfigException, OSError, ValueError, yaml.YAMLError) as error:
        LOG.error("The kubeconfig (or service account) cannot be used: %s", error)
        raise base.Unavailable("The credentials for the cluster cannot be read.") from error
    return made
