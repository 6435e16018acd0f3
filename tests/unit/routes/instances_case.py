"""All of the API over a memory store and fake backends, streams included."""

import contextlib

from falcon import testing

from apisvc.testing import backends
from tests.unit.routes import accounts
from tests.unit.service import instances_case


class InstancesCase(accounts.RoutesCase, instances_case.InstancesCase):
    """As :class:`accounts.RoutesCase`, with flavors ``small`` and ``large``, image ``host`` and backends."""

    place = "/tenants/blue/instances"

    def post(self, by="max", **fields):
        """A new instance, as answered."""
        body = {"image": "host", "flavor": "small", **fields}
        return self.ok("POST", self.place, 202, by=by, body=body)

    def run_it(self, instance):
        """What a worker would do: bring it to the backend."""
        driver = self.drivers[instance["spec"]["backend"]]
        driver.ensure(backends.workload(instance["id"]), deadline=backends.soon())

    @contextlib.contextmanager
    def stream(self, path, by="max", query="", **headers):
        """Status, headers and chunks of an answer that may be endless; closed at the end."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["X-Auth-Token"] = self.texts[by]
        environ = testing.create_environ(path=f"/v1{path}", query_string=query, headers=sent)
        started = testing.StartResponseMock()
        chunks = self.app(environ, started)
        try:
            yield int(started.status.split()[0]), dict(started.headers), iter(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
