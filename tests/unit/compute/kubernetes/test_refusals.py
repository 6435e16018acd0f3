import json
import ssl
import unittest

from urllib3 import exceptions

from apisvc.compute import base
from apisvc.compute.kubernetes import refusals

#: (status, Kubernetes' message, error) as API servers of several versions have said.
ANSWERS = (
    (400, "Pod in version v1 cannot be handled", base.InvalidSpec),
    (400, 'admission webhook "x.io" denied the request: no', base.InvalidSpec),
    (401, "Unauthorized", base.Unauthorized),
    (403, 'pods is forbidden: User "u" cannot list resource "pods" in API group ""', base.Unauthorized),
    (
        403,
        'pods "i" is forbidden: exceeded quota: apisvc, requested: pods=1, used: pods=1, limited: pods=1',
        base.NoCapacity,
    ),
    (403, 'pods "i" is forbidden: exceeded quota: theirs, requested: pods=1', base.BackendQuota),
    (403, 'pods "i" is forbidden: exceeded quota: apisvc-theirs, requested: x', base.BackendQuota),
    (
        403,
        'pods "i" is forbidden: unable to create new content in namespace n because it is being terminated',
        base.InProgress,
    ),
    (
        403,
        'pods "i" is forbidden: error looking up service account n/default: serviceaccount "default" not found',
        base.InProgress,
    ),
    (403, 'pods "i" is forbidden: violates PodSecurity "restricted:latest": privileged', base.InvalidSpec),
    (
        403,
        'pods "i" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi',
        base.InvalidSpec,
    ),
    (403, 'admission webhook "x.io" denied the request: no', base.InvalidSpec),
    (404, 'namespaces "n" not found', base.InProgress),
    (404, 'pods "i" not found', base.NotFound),
    (404, "the server could not find the requested resource ( pods/log x)", base.Unavailable),
    (409, 'Operation cannot be fulfilled on pods "i": the object has been modified', base.InProgress),
    (409, 'pods "i" already exists', base.InProgress),
    (410, "The provided continue parameter is too old", base.InProgress),
    (413, "too large", base.InvalidSpec),
    (418, "a teapot", base.DriverBug),
    (422, 'Pod "i" is invalid: spec.containers[0].image: Required value', base.InvalidSpec),
    (429, "too many requests", base.RateLimited),
    (500, 'Internal error occurred: failed calling webhook "x.io": connection refused', base.Unavailable),
    (500, "etcdserver: request timed out", base.Timeout),
    (500, "Internal error occurred", base.Unavailable),
    (502, "<html>Bad gateway", base.Unavailable),
    (503, "apiserver not ready", base.Unavailable),
    (504, "gateway timeout", base.Timeout),
    (599, "?", base.Unavailable),
)


class TestAnswers(unittest.TestCase):
    def error(self, status, message, **more):
        body = json.dumps({"kind": "Status", "message": message, "code": status, **more}).encode()
        return refusals.of_answer(status, body, "what", more.get("retry_after"))

    def test_each_has_its_error(self):
        for status, message, kind in ANSWERS:
            with self.subTest(status=status, message=message):
                self.assertIs(kind, type(self.error(status, message)))

    def test_each_row_is_the_first_for_something(self):
        met = {
            next(index for index, rule in enumerate(refusals.RULES) if rule.matches(status, message))
            for status, message, _ in ANSWERS
        }
        spare = {index for index, rule in enumerate(refusals.RULES) if rule.status in (408,)}
        self.assertEqual(set(range(len(refusals.RULES))), met | spare)

    def test_kubernetes_own_reason_is_told(self):
        message = 'Pod "i" is invalid: spec.containers[0].image: Required value'
        self.assertEqual(message, self.error(422, message).message)

    def test_what_is_for_operators_alone_is_not(self):
        told = self.error(403, 'pods is forbidden: User "system:serviceaccount:ops:apisvc" cannot list')
        self.assertNotIn("ops", told.message)
        self.assertNotIn("10.0.0.1", self.error(500, "dial tcp 10.0.0.1: refused").message)

    def test_pauses(self):
        self.assertEqual(7, refusals.of_answer(429, b"{}", "what", "7").retry_after)
        self.assertEqual(3, self.error(503, "later", details={"retryAfterSeconds": 3}).retry_after)
        self.assertIsNone(self.error(503, "later").retry_after)

    def test_a_body_that_is_no_status(self):
        for body in (b"", b"<html>", b"[]", b'"x"', b"\xff"):
            self.assertIsInstance(refusals.of_answer(503, body, "what"), base.Unavailable)
            self.assertTrue(refusals.of_answer(422, body, "what").message)

    def test_the_table_for_the_docs_has_every_row(self):
        self.assertEqual(len(refusals.RULES) + len(refusals.TRANSPORT), len(list(refusals.rows())))


class TestTransport(unittest.TestCase):
    def test_each_way_has_its_error(self):
        for error, kind in (
            (exceptions.NewConnectionError(None, "refused"), base.Unavailable),
            (exceptions.ConnectTimeoutError(), base.Unavailable),
            (exceptions.ReadTimeoutError(None, "/", "slow"), base.Timeout),
            (exceptions.ProtocolError("broken", TimeoutError()), base.Timeout),
            (exceptions.SSLError("certificate verify failed"), base.Unavailable),
            (ssl.SSLError("x"), base.Unavailable),
            (exceptions.ProtocolError("Connection aborted.", ConnectionResetError()), base.Unavailable),
            (exceptions.MaxRetryError(None, "/", exceptions.ConnectTimeoutError()), base.Unavailable),
            (ConnectionRefusedError(), base.Unavailable),
        ):
            with self.subTest(error=error):
                self.assertIs(kind, type(refusals.of_transport(error, "what")))

    def test_what_is_no_such_error_is_raised_as_it_is(self):
        with self.assertRaises(KeyError):
            refusals.of_transport(KeyError("x"), "what")
