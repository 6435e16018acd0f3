"""What needs no etcd: options that cannot be right, and what errors mean."""

import grpc
import testtools
from oslo_config import cfg

from apisvc import errors
from apisvc.storage.etcd import client, driver


def group(**overrides):
    conf = cfg.ConfigOpts()
    conf.register_opts(driver.EtcdStore.options(), group="etcd")
    for name, value in overrides.items():
        conf.set_override(name, value, group="etcd")
    return conf.etcd


class TestOptions(testtools.TestCase):
    def test_right_ones(self):
        for options in (
            {},
            {"endpoints": ["http://etcd-1.example:2379", "http://127.0.0.1:2379/", "http://[::1]:2379"]},
            {"endpoints": ["https://a:1"], "ca_file": "ca", "cert_file": "c", "key_file": "k"},
            {"user": "apisvc", "password": "x"},
        ):
            driver.EtcdStore(group(**options)).close()

    def test_wrong_ones_say_what_and_what_would_be_right(self):
        for options, expected in (
            ({"endpoints": []}, "endpoints is empty"),
            ({"endpoints": ["etcd-1:2379"]}, "'etcd-1:2379' is no address; right would be https://"),
            ({"endpoints": ["http://etcd-1"]}, "no address"),
            ({"endpoints": ["http://a:1", "https://b:1"]}, "either all are http:// or all are https://"),
            ({"endpoints": ["https://a:1"], "cert_file": "c"}, "cert_file and key_file go together"),
            ({"ca_file": "ca"}, "are for https:// endpoints"),
            ({"user": "apisvc"}, "user and password go together"),
            ({"prefix": "/"}, "prefix is empty"),
        ):
            error = self.assertRaises(ValueError, driver.EtcdStore, group(**options))
            self.assertIn(expected, str(error))

    def test_nothing_happens_before_the_first_call(self):
        store = driver.EtcdStore(group(endpoints=["https://127.0.0.1:1"], ca_file="/does/not/exist"))
        error = self.assertRaises(errors.StoreUnavailable, store.ping)
        self.assertIn("ca_file = /does/not/exist", error.detail)


class TestErrors(testtools.TestCase):
    def test_what_another_member_may_do_better(self):
        code = grpc.StatusCode
        for error, expected in (
            ((code.UNAVAILABLE, "etcdserver: leader changed"), True),
            ((code.UNAVAILABLE, "etcdserver: request timed out"), True),
            ((code.DEADLINE_EXCEEDED, "Deadline Exceeded"), True),
            ((code.UNKNOWN, "context deadline exceeded"), True),
            ((code.UNIMPLEMENTED, ""), True),
            ((code.NOT_FOUND, "etcdserver: requested lease not found"), False),
            ((code.INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request"), False),
            ((code.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"), False),
        ):
            self.assertEqual(expected, client.out_of_reach(*error), error)

    def test_after_which_errors_a_write_was_surely_not_done(self):
        code = grpc.StatusCode
        for error, expected in (
            ((code.UNAVAILABLE, "failed to connect to all addresses; last error: Connection refused"), True),
            ((code.UNAVAILABLE, "etcdserver: no leader"), True),
            ((code.UNIMPLEMENTED, "Received http2 header with status: 404"), True),
            ((code.UNAVAILABLE, "Socket closed"), False),
            ((code.UNAVAILABLE, "etcdserver: request timed out"), False),
            ((code.UNAVAILABLE, "etcdserver: leader changed"), False),
            ((code.DEADLINE_EXCEEDED, "Deadline Exceeded"), False),
        ):
            self.assertEqual(expected, client.never_sent(*error), error)

    def test_what_people_are_told(self):
        code = grpc.StatusCode
        for error, expected in (
            ((code.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"), "no space left"),
            ((code.PERMISSION_DENIED, "etcdserver: permission denied"), "refuses our user"),
            ((code.INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID"), "refuses our"),
            ((code.FAILED_PRECONDITION, "something new"), "etcd: failed_precondition: something new."),
        ):
            self.assertIn(expected, client.unavailable(*error).detail)
