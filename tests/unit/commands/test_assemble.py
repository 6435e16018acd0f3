"""The gate before the application: nothing is served on data or listeners that must not be."""

import json
import time
import types

import fixtures
import testtools

from apisvc import errors
from apisvc.commands import assemble
from apisvc.conf import files
from apisvc.model import codec, keys, tenants
from apisvc.service import secrets
from apisvc.storage import base as storage
from apisvc.storage import memory
from apisvc.storage.mirror import store as mirror


def served(environ, start_response):
    start_response("200 OK", [])
    return [b"served"]


class TestGate(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.store = memory.MemoryStore()
        driver = types.SimpleNamespace(loopback_only=True)
        self.assembly = assemble.Assembly(
            conf=files.read(environ={}),
            store=self.store,
            backends={"local": types.SimpleNamespace(name="local", driver=driver)},
            services=None,
            auth_drivers=[],
        )
        self.driver = driver
        self.gate = assemble.Gate(served, self.assembly)

    def ask(self, listener: str = "127.0.0.1", path: str = "/v1") -> tuple[str, dict, bytes]:
        answered = []
        body = self.gate(
            {"SERVER_NAME": listener, "PATH_INFO": path},
            lambda status, headers: answered.append((status, dict(headers))),
        )
        return *answered[0], b"".join(body)

    def test_a_new_store_is_marked_and_served(self) -> None:
        self.assertEqual(("200 OK", {}, b"served"), self.ask())
        self.assertEqual(b"1", self.store.get([keys.SCHEMA]).records[keys.SCHEMA].value)

    def test_newer_data_is_not_touched(self) -> None:
        self.store.commit([], [storage.Put(keys.SCHEMA, b"2")])
        status, headers, body = self.ask()
        self.assertEqual("503 Service Unavailable", status)
        self.assertEqual("application/problem+json", headers["Content-Type"])
        self.assertRegex(headers["X-OpenStack-Request-ID"], "^req-")
        self.assertEqual(str(len(body)), headers["Content-Length"])
        problem = json.loads(body)
        self.assertEqual("apisvc.unavailable", problem["code"])
        self.assertIn("the store holds data of layout 2, made by a newer release", problem["detail"])
        self.assertEqual(b"2", self.store.get([keys.SCHEMA]).records[keys.SCHEMA].value)
        self.assertEqual("200 OK", self.ask(path="/healthcheck")[0])

    def test_a_store_out_of_reach_is_said_as_everywhere(self) -> None:
        def unreachable(*_: object, **__: object) -> None:
            raise errors.StoreUnavailable("The disk is gone.")

        self.store.get = unreachable
        status, headers, body = self.ask()
        self.assertEqual("503 Service Unavailable", status)
        self.assertGreaterEqual(int(headers["Retry-After"]), 1)
        self.assertEqual("apisvc.store.unavailable", json.loads(body)["code"])
        del self.store.get
        self.assertEqual("200 OK", self.ask()[0])

    def test_it_recovers_by_itself(self) -> None:
        self.store.commit([], [storage.Put(keys.SCHEMA, b"2")])
        self.assertEqual("503 Service Unavailable", self.ask()[0])
        self.store.commit([], [storage.Put(keys.SCHEMA, b"1")])
        self.assertEqual("200 OK", self.ask()[0])

    def test_warm_before_the_first_request(self) -> None:
        self.gate.warm(10.0)
        self.assertEqual(b"1", self.store.get([keys.SCHEMA]).records[keys.SCHEMA].value)

    def test_nobody_waits_long_for_a_store_that_does_not_answer(self) -> None:
        asked = []

        def hang(*, deadline: float) -> None:
            asked.append(deadline - time.monotonic())
            raise errors.StoreUnavailable("The disk is gone.")

        self.store.ping = hang
        self.gate.warm(60.0)
        self.assertEqual(1, len(asked))
        self.assertLessEqual(asked[0], assemble.ATTEMPT)
        self.assertIn("serves before it is ready: The disk is gone.", self.log.output)
        self.assertEqual("200 OK", self.ask()[0])

    def test_what_would_be_left_alone_is_not(self) -> None:
        ledger = tenants.Ledger(tenant_id="t", used=tenants.Amounts(instances=3), on={"local": 1, "west": 2})
        written = [
            storage.Put(keys.join(keys.LEDGERS, "t"), codec.encode(ledger)),
            storage.Put(keys.SCHEMA, b"1"),
        ]
        self.store.commit([], written)
        self.assertEqual("503 Service Unavailable", self.ask()[0])
        detail = json.loads(self.ask()[2])["detail"]
        self.assertIn(
            "enabled_backends lacks 'west', which still has 2 instances: put it back, drain it", detail
        )
        self.assertNotIn("local", detail)
        self.assembly.conf.set_override("unserved_backends", ["west"])
        self.assertEqual("200 OK", self.ask()[0])

    def test_listeners_that_others_reach(self) -> None:
        self.assertEqual("200 OK", self.ask("::1")[0])
        for _ in range(2):
            status, _, body = self.ask("0.0.0.0")
            self.assertEqual("503 Service Unavailable", status)
            self.assertIn("set [local] allow_remote = true", json.loads(body)["detail"])
        self.assertEqual("200 OK", self.ask("127.0.0.1")[0])

    def test_unless_the_backend_allows_it(self) -> None:
        self.driver.loopback_only = False
        self.assertEqual("200 OK", self.ask("0.0.0.0")[0])


class Mirroring(testtools.TestCase):
    """Where API processes read from."""

    def store_of(self, driver, mirrored, serves=True):
        folder = self.useFixture(fixtures.TempDir()).path
        secrets.add_key(folder)
        conf = files.read(environ={})
        conf.set_override("driver", driver, "storage")
        conf.set_override("mirror", mirrored, "storage")
        conf.set_override("enabled_backends", [])
        conf.set_override("key_directory", folder, "secrets")
        return assemble.assemble(conf, serves=serves).store

    def test_by_default_where_reads_would_go_over_the_network(self):
        self.assertIsInstance(self.store_of("etcd", "auto"), mirror.Mirror)
        self.assertNotIsInstance(self.store_of("memory", "auto"), mirror.Mirror)

    def test_as_configured(self):
        self.assertNotIsInstance(self.store_of("etcd", "off"), mirror.Mirror)
        self.assertIsInstance(self.store_of("memory", "on"), mirror.Mirror)
        self.assertFalse(self.store_of("memory", "on").shared)

    def test_workers_read_from_the_store(self):
        self.assertNotIsInstance(self.store_of("etcd", "on", serves=False), mirror.Mirror)
