"""The client: one object for one service and one token."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from apisvc.client import feeds, resources, transport, waiting, wire

if TYPE_CHECKING:
    from apisvc.client import terminals

Dict = dict[str, Any]


class Client:
    """An apisvc at ``url``, seen with ``token``.

    ::

        with client.Client("http://127.0.0.1:5000", token) as api:
            for instance in api.instances.list("acme", label=["stage=test"]):
                print(instance["name"], instance["status"]["state"])

    * Every call has a deadline, ``timeout`` seconds unless the call names its
      own; it covers all attempts.
    * Safe calls are repeated, with pauses that honour Retry-After; a POST is
      safe because it carries an Idempotency-Key. See :meth:`transport.Transport.call`.
    * Lists are iterators that fetch page after page.
    * Feeds go on after the connection was cut, without loss or repetition.
    * Errors are those of :mod:`apisvc.client.errors`.

    ``cacert``: file of the CA that signed the service's certificate, where the
    system does not know it. May be used by many threads; :meth:`close` it.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        attempts: int = 5,
        cacert: str | None = None,
        agent: str = "apisvc-client",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport.Transport(
            url,
            token,
            timeout=timeout,
            attempts=attempts,
            cacert=cacert,
            agent=agent,
            clock=clock,
            sleep=sleep,
        )
        self._clock = clock
        self._sleep = sleep
        self.tenants = resources.Tenants(self)
        self.members = resources.Members(self)
        self.users = resources.Users(self)
        self.tokens = resources.Tokens(self)
        self.flavors = resources.Flavors(self)
        self.images = resources.Images(self)
        self.instances = resources.Instances(self)
        self.quotas = resources.Quotas(self)
        self.backends = resources.Backends(self)
        self.credentials = resources.Credentials(self)
        self.nodes = resources.Nodes(self)
        self.drivers = resources.Drivers(self)
        self.workers = resources.Workers(self)
        self.events = resources.Events(self)
        self.user = resources.User(self)

    @property
    def url(self) -> str:
        """The service's root, without a trailing slash."""
        return self._transport.url

    @property
    def timeout(self) -> float:
        """Seconds that a call has unless it names its own."""
        return self._transport.timeout

    def close(self) -> None:
        """Close the pooled connections."""
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def versions(self) -> Dict:
        """What ``GET /`` says: the API versions that are served. Needs no token."""
        answer: Dict = self.call("GET", "/")
        return answer

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Any call, for routes that have no method here: ``call("GET", "/v1/tenants/acme/report")``.

        Options: ``query``, ``body``, ``if_match``, ``idempotency_key``,
        ``timeout``, ``once``. Returns the decoded body, or None.
        """
        return self._transport.call(method, path, **options).body

    def pages(self, path: str, key: str, query: Mapping[str, Any] | None = None) -> Iterator[Dict]:
        """Everything in a list: the items under ``key`` of each page, following ``next``."""
        answer = self.call("GET", path, query=query)
        while True:
            yield from answer[key]
            link = answer.get("next")
            if not link:
                return
            answer = self.call("GET", wire.relative(link, self.url))

    def follow(
        self, path: str, after: int | None = None, *, until: float | None = None, **filters: Any
    ) -> Iterator[Dict]:
        """The event feed at ``path``, from the cursor ``after`` on; see :func:`apisvc.client.feeds.follow`."""
        return feeds.follow(
            self._transport, path, after, until=until, filters=filters, clock=self._clock, sleep=self._sleep
        )

    def text(
        self, path: str, query: Mapping[str, Any] | None = None, idle: float | None = None
    ) -> Iterator[bytes]:
        """A plain-text stream (logs), in chunks as they come."""
        with self._transport.stream(
            path, query=query, accept="text/plain, text/*;q=0.9", idle=idle
        ) as chunks:
            yield from chunks

    def connect(self, path: str, query: Mapping[str, Any]) -> "terminals.Terminal":
        """A terminal (a WebSocket) inside an instance; to be closed."""
        return self._transport.connect(path, query)

    def wait(
        self,
        instance: Dict,
        states: str | Collection[str],
        timeout: float = 300.0,
        changed: Callable[[Dict], None] | None = None,
    ) -> Dict | None:
        """Wait until ``instance`` is in one of ``states``; see :func:`apisvc.client.waiting.wait`."""
        wanted = {states} if isinstance(states, str) else set(states)
        return waiting.wait(self, instance, wanted, timeout, changed, clock=self._clock, sleep=self._sleep)
