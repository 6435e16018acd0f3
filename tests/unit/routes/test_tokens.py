from concurrent import futures

from apisvc.service import tokens
from tests.unit.routes import accounts


class TokensTest(accounts.RoutesCase):
    def test_shown_once_and_listed_by_its_hint(self):
        answer = self.call("POST", "/user/tokens", by="mia", body={"name": "laptop", "lifetime": 60})
        self.assertEqual(201, answer.status_code, answer.text)
        made = answer.json
        self.assertEqual("2027-01-15T08:01:00.000000Z", made["expires_at"])
        self.assertEqual(f"/v1/user/tokens/{made['id']}", answer.headers["location"])
        text = made.pop("token")
        self.assertEqual(made, self.ok("GET", f"/user/tokens/{made['id']}", by="mia"))
        listed = self.call("GET", "/user/tokens", by="mia")
        self.assertEqual(made, listed.json["tokens"][1])
        self.assertNotIn(text, listed.text)
        self.texts["laptop"] = text
        self.assertEqual("mia", self.ok("GET", "/user", by="laptop")["name"])
        self.clock.at += 60
        self.refused(401, "GET", "/user", by="laptop")

    def test_a_revoked_one_is_out_at_once(self):
        token = self.login_as("second", self.users["mia"], tokens.Grant())
        self.ok("GET", "/user", by="second")
        self.ok("DELETE", f"/user/tokens/{token.id}", 204, by="mia")
        self.refused(401, "GET", "/user", by="second")
        self.refused(404, "DELETE", f"/user/tokens/{token.id}", by="mia")

    def test_those_of_others_are_not_there(self):
        token = self.login_as("second", self.users["rob"], tokens.Grant())
        self.refused(404, "GET", f"/user/tokens/{token.id}", by="mia")
        self.refused(404, "DELETE", f"/user/tokens/{token.id}", by="mia")
        self.refused(404, "GET", "/user/tokens/x", by="mia")

    def test_admins_see_and_revoke_any(self):
        path = "/admin/users/mia/tokens"
        made = self.ok("POST", path, 201, body={"tenant": "blue", "role": "reader"})
        self.assertEqual((self.blue.id, "reader"), (made["tenant_id"], made["role"]))
        self.assertEqual(2, len(self.ok("GET", path)["tokens"]))
        self.ok("GET", f"{path}/{made['id']}")
        self.ok("DELETE", f"{path}/{made['id']}", 204)
        self.refused(404, "GET", f"{path}/{made['id']}")

    def test_what_one_token_was_answered_is_not_repeated_to_a_lesser_one(self):
        self.login_as("small", self.users["mia"], tokens.Grant(tenant="blue", role=accounts.READER))
        sent = {"body": {}, "Idempotency_Key": "k"}
        made = self.ok("POST", "/user/tokens", 201, by="mia", **sent)
        self.assertEqual(made, self.ok("POST", "/user/tokens", 201, by="mia", **sent))
        self.refused(422, "POST", "/user/tokens", by="small", code="apisvc.idempotency.mismatch", **sent)

    def test_a_limited_token_makes_none_that_may_more(self):
        self.login_as("small", self.users["mia"], tokens.Grant(tenant="blue", role=accounts.READER))
        made = self.ok("POST", "/user/tokens", 201, by="small", body={})
        self.assertEqual((self.blue.id, "reader"), (made["tenant_id"], made["role"]))
        self.refused(403, "POST", "/user/tokens", by="small", body={"role": "manager"})
        self.refused(403, "POST", "/user/tokens", by="small", body={"admin": True})
        self.refused(400, "POST", "/user/tokens", by="small", body={"tenant": "red"}, pointer="/tenant")
        first = self.ok("GET", "/user/tokens", by="mia")["tokens"][0]
        self.refused(404, "DELETE", f"/user/tokens/{first['id']}", by="small")
        more = self.ok("POST", "/user/tokens", 201, by="mia", body={"tenant": "blue"})
        self.refused(403, "DELETE", f"/user/tokens/{more['id']}", by="small")

    def test_an_admins_token_acts_as_admin_only_if_it_was_made_so(self):
        made = self.ok("POST", "/user/tokens", 201, body={})
        self.texts["plain"] = made["token"]
        self.refused(403, "GET", "/admin/users", by="plain")
        self.refused(403, "POST", "/user/tokens", by="plain", body={"admin": True})
        self.texts["full"] = self.ok("POST", "/user/tokens", 201, body={"admin": True})["token"]
        self.ok("GET", "/admin/users", by="full")

    def test_bad_bodies(self):
        for body, pointer in (
            ({"lifetime": 0}, "/lifetime"),
            ({"lifetime": 10**9}, "/lifetime"),
            ({"name": "a\nb"}, "/name"),
            ({"role": "admin"}, "/role"),
            ({"admin": True, "role": "reader"}, "/admin"),
            ({"text": "x"}, "/text"),
        ):
            self.refused(400, "POST", "/user/tokens", body=body, pointer=pointer)

    def test_a_repeat_shows_the_same_secret_which_is_encrypted_at_rest(self):
        sent = {"by": "mia", "body": {"name": "once"}, "Idempotency_Key": "k1"}
        first, again = (self.call("POST", "/user/tokens", **sent) for _ in range(2))
        self.assertEqual(201, first.status_code, first.text)
        self.assertEqual(first.json, again.json)
        self.assertEqual("true", again.headers["idempotency-replayed"])
        self.assertEqual(["no-store"] * 2, [answer.headers["cache-control"] for answer in (first, again)])
        self.assertEqual(2, len(self.ok("GET", "/user/tokens", by="mia")["tokens"]))
        secret = first.json["token"].removeprefix("apisvc_")[8:]
        self.assertTrue(any(key.startswith("replays/") for key in self.raw()))
        for key, value in self.raw().items():
            self.assertNotIn(secret, key)
            self.assertNotIn(secret.encode(), value)

    def test_a_key_is_its_users_own(self):
        sent = {"body": {"name": "once"}, "Idempotency_Key": "k1"}
        mias = self.ok("POST", "/user/tokens", 201, by="mia", **sent)
        robs = self.ok("POST", "/user/tokens", 201, by="rob", **sent)
        self.assertNotEqual(mias["token"], robs["token"])

    def test_twins_that_race_get_one_token(self):
        sent = {"by": "mia", "body": {"name": "once"}, "Idempotency_Key": "k1"}
        with futures.ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: self.call("POST", "/user/tokens", **sent), range(20)))
        self.assertEqual({201}, {answer.status_code for answer in answers})
        self.assertEqual(1, len({answer.text for answer in answers}))
        replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
        self.assertEqual(19, replayed.count("true"))
        self.assertEqual(2, len(self.ok("GET", "/user/tokens", by="mia")["tokens"]))
