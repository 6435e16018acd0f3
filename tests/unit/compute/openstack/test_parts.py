"""Small parts: options, names, console texts."""

import unittest

from apisvc.compute.openstack import driver, names, options, output
from apisvc.testing import backends


def make(**given):
    given = {"auth_url": "http://x/v3", "username": "u", "password": "p", "project": "q", **given}
    return driver.OpenStackDriver(backends.context(driver.OpenStackDriver, state_dir="", **given))


class TestOptions(unittest.TestCase):
    def test_a_value_that_cannot_be_right_names_its_option(self):
        for given, named in (
            ({"cloud": "c"}, "cloud"),
            ({"auth_url": None}, "cloud"),
            ({"password": None}, "password"),
            (
                {"application_credential_id": "a", "application_credential_secret": "s"},
                "application_credential_id",
            ),
            (
                {"application_credential_id": "a", "tenancy": "shared-project"},
                "application_credential_secret",
            ),
            ({"network_policy": "shared"}, "network"),
            ({"network_cidr": "10.0.0.1/24"}, "network_cidr"),
            ({"ingress": ["tcp:0"]}, "ingress"),
            ({"ingress": ["tcp:9-1"]}, "ingress"),
            ({"ingress": ["tcp:22:nowhere"]}, "ingress"),
            ({"ingress": ["tcp 22"]}, "ingress"),
            ({"credential_roles": {"manager": "member"}}, "credential_roles"),
        ):
            with self.subTest(**given):
                self.assertRaisesRegex(ValueError, f"^{named}: ", make, **given)

    def test_no_message_tells_the_password(self):
        with self.assertRaises(ValueError) as caught:
            make(password="hunter2", username=None)
        self.assertNotIn("hunter2", str(caught.exception))

    def test_rules(self):
        self.assertEqual(
            (
                options.Rule("tcp", 22, 22, "0.0.0.0/0"),
                options.Rule("udp", 5000, 5010, "192.0.2.0/24"),
                options.Rule("tcp", 80, 80, "2001:db8::/32"),
                options.Rule("icmp", None, None, "0.0.0.0/0"),
            ),
            options.rules(["tcp:22", "udp:5000-5010:192.0.2.0/24", "tcp:80:2001:db8::/32", "icmp"]),
        )
        self.assertEqual("IPv6", options.rules(["tcp:80:2001:db8::/32"])[0].ethertype)


class TestNames(unittest.TestCase):
    def test_they_fit_the_clouds_limits(self):
        owner, tenant = "o" * 40, "00000000-0000-7000-8000-000000000000"
        self.assertLessEqual(len(names.scope(owner, tenant)), 64)
        self.assertLessEqual(len(names.owner_tag(owner)), 60)
        self.assertLessEqual(len(names.instance_tag(tenant)), 60)

    def test_a_long_scope_is_still_the_tenants_own(self):
        tenants = [f"00000000-0000-7000-8000-00000000000{n}" for n in range(10)]
        self.assertEqual(10, len({names.scope("o" * 40, tenant) for tenant in tenants}))

    def test_odd_ids(self):
        for odd in ("", ".", "..", "../../etc", "a/b", "x" * 300, "\n", "ü", "-a"):
            self.assertFalse(names.is_id(odd), odd)

    def test_numbers_that_a_tenant_wrote(self):
        for text in ("", "-1", "9" * 50, "1.5", "²", "x"):
            self.assertEqual(0, names.number({"n": text}, "n"), text)

    def test_labels_neither_replace_what_is_ours_nor_break_the_clouds_limits(self):
        workload = backends.workload("i", labels={names.OWNER: "me", "long": "x" * 256, "fine": "yes"})
        made = names.metadata("owner", workload)
        self.assertEqual("owner", made[names.OWNER])
        self.assertEqual("yes", made["fine"])
        self.assertNotIn("long", made)

    def test_parts_tell_what_a_server_cannot_be_given_later(self):
        base_parts = names.parts(backends.workload("i"))
        for fields in ({"ssh_key": "k"}, {"user_data": "d"}, {"networks": ["n"]}, {"volumes": [1]}):
            self.assertNotEqual(base_parts, names.parts(backends.workload("i", **fields)))
        for fields in ({"vcpus": 9}, {"image": "other"}, {"power": "stopped"}, {"reboots": 3}):
            self.assertEqual(base_parts, names.parts(backends.workload("i", **fields)))


class TestConsoleText(unittest.TestCase):
    def test_last_lines(self):
        self.assertEqual(b"b\nc", output.last_lines(b"a\nb\nc", 2))
        self.assertEqual(b"", output.last_lines(b"a\nb\nc", 0))
        self.assertEqual(b"a\nb\nc", output.last_lines(b"a\nb\nc", None))
        self.assertEqual(b"a\nb\nc", output.last_lines(b"a\nb\nc", 9))

    def test_what_is_new(self):
        for before, now, new in (
            (b"", b"ab", b"ab"),
            (b"ab", b"abcd", b"cd"),
            (b"ab", b"ab", b""),
            (b"1\n2\n3\n", b"2\n3\n4\n", b"2\n3\n4\n"),
            (b"x" * 5000 + b"end\n", b"x" * 4500 + b"end\nmore\n", b"more\n"),
            (b"old boot\n", b"new boot\n", b"new boot\n"),
        ):
            with self.subTest(before=before[:20], now=now[:20]):
                self.assertEqual(new, output.newer(before, now))
