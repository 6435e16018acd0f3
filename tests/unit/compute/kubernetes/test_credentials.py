import time
import unittest
from urllib import parse

import yaml

from apisvc.compute import base
from apisvc.compute.kubernetes import credentials
from apisvc.testing import backends
from tests.unit.client import scripted
from tests.unit.compute.kubernetes import cluster


def account(credential_id, expires):
    return {"metadata": {"name": f"c-{credential_id}", "annotations": {"apisvc/expires": expires}}}


class TestCredentials(unittest.TestCase):
    def setUp(self):
        self.accounts = []
        self.server = scripted.ScriptedServer(route=self.route)
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)
        self.driver = cluster.make_driver(self.server.url)
        self.addCleanup(self.driver.close)

    def route(self, seen):
        path = parse.urlsplit(seen.path).path
        if path.endswith("/token"):
            seconds = min(seen.body["spec"]["expirationSeconds"], 7200)
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
            return cluster.ok({"status": {"token": "tok", "expirationTimestamp": until}})
        if seen.method == "GET" and path.endswith("/serviceaccounts"):
            return cluster.listing(self.accounts)
        return cluster.ok({"metadata": {"name": "x", "labels": {"apisvc/owner": "me"}}})

    def issue(self, **fields):
        given = {"id": "one", "tenant": backends.tenant("t"), "role": "member", "seconds": 3600, **fields}
        return self.driver.issue(base.CredentialRequest(**given), deadline=time.monotonic() + 30)

    def sent(self, method, part):
        return [one for one in self.server.seen if one.method == method and part in one.path]

    def test_a_kubeconfig_for_the_namespace(self):
        made = self.issue()
        document = yaml.safe_load(made.content)
        self.assertEqual("tok", document["users"][0]["user"]["token"])
        self.assertEqual("apisvc-t", document["contexts"][0]["context"]["namespace"])
        self.assertEqual(self.server.url, document["clusters"][0]["cluster"]["server"])
        (binding,) = self.sent("PATCH", "/rolebindings/c-one")
        self.assertEqual("apisvc-member", binding.body["roleRef"]["name"])

    def test_no_role_may_make_pods_or_read_secrets_or_give_rights(self):
        for role, rules in credentials.RIGHTS.items():
            for rule in rules:
                self.assertEqual([""], rule["apiGroups"], role)
                self.assertFalse({"*", "secrets", "serviceaccounts", "configmaps"} & set(rule["resources"]))
                if "pods" in rule["resources"]:
                    self.assertEqual({"get", "list", "watch"}, set(rule["verbs"]))
        self.assertEqual(1, len(credentials.RIGHTS["reader"]))

    def test_a_role_without_rights_makes_nothing(self):
        with self.assertRaises(base.InvalidSpec):
            self.issue(role="admin")
        self.assertEqual([], self.sent("PATCH", "c-one"))

    def test_it_ends_when_the_server_says(self):
        self.assertAlmostEqual(time.time() + 600, self.issue(seconds=60).expires_at, delta=60)
        self.assertAlmostEqual(time.time() + 7200, self.issue(seconds=90000).expires_at, delta=60)
        stamps = [one.body["metadata"]["annotations"] for one in self.sent("PATCH", "/serviceaccounts/c-one")]
        self.assertEqual(3, len(stamps), "the end that the server gave is noted")

    def test_expired_ones_are_swept_and_not_listed(self):
        self.accounts = [
            account("old", "2020-01-01T00:00:00+00:00"),
            account("new", "2999-01-01T00:00:00+00:00"),
        ]
        issued = self.driver.issued("t", deadline=time.monotonic() + 30)
        self.assertEqual(["new"], [one.id for one in issued])
        self.issue()
        self.assertEqual(2, len(self.sent("DELETE", "/c-old")))
        self.assertEqual([], self.sent("DELETE", "/c-new"))

    def test_odd_ids_were_never_issued(self):
        for odd in ("", "../x", "A", "x" * 100):
            self.driver.revoke("t", odd, deadline=time.monotonic() + 30)
            self.driver.revoke(odd, "one", deadline=time.monotonic() + 30)
        self.assertEqual([], self.sent("DELETE", ""))
