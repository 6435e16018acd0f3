import falcon
from falcon import testing

from apisvc import errors
from apisvc.storage.mirror import store as mirror
from apisvc.web import staleness
from tests.unit.storage import breakable
from tests.unit.web import harness

THING = f"/v1/tenants/{harness.TENANT}/things/one"


class Asked(harness.WebCase):
    def test_what_clients_send(self):
        expected = {
            None: 0,
            "": 0,
            "no-cache": 0,
            "max-stale": 60,
            "max-stale=5": 5,
            'Max-Stale = "7"': 7,
            "no-store, max-stale=5": 5,
            "max-stale=5,no-store": 5,
            "max-stale=600": 60,
            "max-stale=0": 0,
            "max-stale=x": 0,
            "not-max-stale=5": 0,
            "max-stale=-1": 0,
        }
        for value, seconds in expected.items():
            headers = {} if value is None else {"Cache-Control": value}
            req = falcon.Request(testing.create_environ("/", headers=headers))
            self.assertEqual(seconds, staleness.asked(req, 60.0), value)
        req = falcon.Request(
            testing.create_environ("/", method="PUT", headers={"Cache-Control": "max-stale"})
        )
        self.assertEqual(0, staleness.asked(req, 60.0))


class Answers(harness.WebCase):
    def make_store(self):
        self.behind = breakable.BreakableStore()
        made = mirror.Mirror(self.behind, timeout=1.0)
        self.addCleanup(made.close)
        return made

    def test_without_the_store(self):
        self.conf.set_override("request_timeout", 2.0, "api")
        asking = {"Cache-Control": "max-stale=30"}
        fresh = self.call("GET", THING, headers=asking)
        self.assertEqual((200, None), (fresh.status_code, fresh.headers.get("age")))
        self.behind.away = True
        stale = self.call("GET", THING, headers=asking)
        self.assertEqual(200, stale.status_code, stale.text)
        self.assertLess(int(stale.headers["age"]), 30)
        self.problem(self.call("GET", THING), 503, errors.StoreUnavailable.code)
        self.problem(self.call("POST", THING.rsplit("/", 1)[0], headers=asking, json={"name": "x"}), 503)
        self.behind.away = False
        self.assertEqual(200, self.call("GET", THING).status_code)
