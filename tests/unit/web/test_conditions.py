from apisvc.model import keys, replays
from tests.unit.web import harness

THINGS = f"/v1/tenants/{harness.TENANT}/things"


class Conditions(harness.WebCase):
    """The thing shown and deleted here has revision 7."""

    def test_if_match(self):
        expected = {
            '"7"': 204,
            "*": 204,
            '"8"': 412,
            'W/"7"': 412,
            '"x"': 412,
            '"' + "9" * 400 + '"': 412,
            "7": 400,
            "": 400,
            '"7", "8"': 400,
            '"7': 400,
        }
        for value, status in expected.items():
            answer = self.call("DELETE", f"{THINGS}/one", headers={"If-Match": value})
            self.assertEqual(status, answer.status_code, value)
        answer = self.call("DELETE", f"{THINGS}/one", headers={"If-Match": "garbage"})
        self.problem(answer, 400, pointer="header:If-Match")

    def test_a_condition_is_never_passed_over(self):
        answer = self.call("POST", THINGS, headers={"If-Match": '"7"'}, json={"name": "one"})
        self.problem(answer, 400, pointer="header:If-Match")

    def test_conditions_on_a_read(self):
        expected = {
            ("If-None-Match", '"7"'): 304,
            ("If-None-Match", 'W/"7"'): 304,
            ("If-None-Match", '"6", "7"'): 304,
            ("If-None-Match", "*"): 304,
            ("If-None-Match", '"6"'): 200,
            ("If-None-Match", "7"): 400,
            ("If-Match", '"7"'): 200,
            ("If-Match", '"6"'): 412,
        }
        for (name, value), status in expected.items():
            answer = self.call("GET", f"{THINGS}/one", headers={name: value})
            self.assertEqual(status, answer.status_code, (name, value))
        answer = self.call("GET", f"{THINGS}/one", headers={"If-None-Match": '"7"'})
        self.assertEqual(("", '"7"'), (answer.text, answer.headers["etag"]))
        self.assertEqual("private, no-cache", answer.headers["cache-control"])


class Idempotency(harness.WebCase):
    def post(self, key="k1", token="member", **body):
        return self.call(
            "POST", THINGS, token, headers={"Idempotency-Key": key}, json=body or {"name": "one"}
        )

    def test_the_same_request_is_answered_alike_and_happens_once(self):
        first = self.post()
        revision = self.store.revision()
        second = self.post()
        self.assertEqual(202, first.status_code, first.text)
        for header in ("etag", "location", "content-type"):
            self.assertEqual(first.headers[header], second.headers[header])
        self.assertEqual((first.status_code, first.content), (second.status_code, second.content))
        self.assertNotIn("idempotency-replayed", first.headers)
        self.assertEqual("true", second.headers["idempotency-replayed"])
        self.assertEqual(revision, self.store.revision())

    def test_another_request_with_the_key_is_refused(self):
        self.post()
        self.problem(self.post(name="two"), 422, "apisvc.idempotency.mismatch")

    def test_a_failed_request_leaves_no_record(self):
        self.call("POST", THINGS, json={"name": "one"})
        self.problem(self.post(), 409, "apisvc.resource.exists")
        self.assertEqual([], list(self.store.scan(keys.REPLAYS).records))
        self.problem(self.post(), 409, "apisvc.resource.exists")

    def test_the_twin_that_came_first_answers_for_both(self):
        """Its commit falls between our look at the key and our own transaction."""
        transact = self.services.transactor.transact
        twins = []

        def transact_after_a_twin(ctx, work):
            if not twins:
                twins.append(None)
                twins[0] = self.post()
            return transact(ctx, work)

        self.services.transactor.transact = transact_after_a_twin
        answer = self.post()
        self.assertEqual(twins[0].content, answer.content)
        self.assertEqual("true", answer.headers["idempotency-replayed"])

    def test_the_answer_is_kept_encrypted(self):
        self.post()
        (record,) = self.store.scan(keys.REPLAYS).records
        kept = harness.codec.decode(record.value, replays.Replay)
        self.assertNotIn(b"one", kept.answer)

    def test_keys(self):
        for bad in ("", "x" * 256, "a b", "é"):
            self.problem(self.post(bad), 400, pointer="header:Idempotency-Key")
        answer = self.call("POST", "/v1/admin/fail", "admin", headers={"Idempotency-Key": "k"})
        self.problem(answer, 400, pointer="header:Idempotency-Key")
        self.assertEqual(200, self.call("GET", THINGS, headers={"Idempotency-Key": "é"}).status_code)
