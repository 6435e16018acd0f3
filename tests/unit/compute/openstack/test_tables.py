"""The two tables: what Nova's states mean, and what a cloud's refusals mean."""

import unittest

import requests
from keystoneauth1 import exceptions as ksa
from openstack import exceptions as sdk

from apisvc.compute import base
from apisvc.compute.openstack import faults, states

Phase = base.Phase


def answer(status, text="", **headers):
    response = requests.Response()
    response.status_code = status
    response.headers.update({"content-type": "application/json", **headers})
    response._content = b'{"error": {"message": "%s"}}' % text.encode()
    response.request = requests.Request("GET", "http://nova.test/v2.1/servers").prepare()
    try:
        sdk.raise_from_response(response)
    except Exception as error:
        return faults.translated(error)
    raise AssertionError("it is no error")


class TestFaults(unittest.TestCase):
    def test_what_http_says(self):
        for status, text, expected in (
            (400, "Image 5 is not active.", base.InvalidSpec),
            (400, "Can not find requested image", base.NotFound),
            (400, "Flavor's disk is too small for requested image.", base.InvalidSpec),
            (401, "", base.Unauthorized),
            (403, "Policy doesn't allow it", base.Unauthorized),
            (403, "Quota exceeded for cores: Requested 1, but already used 4 of 4 cores", base.BackendQuota),
            (409, "Quota exceeded for resources: ['port'].", base.BackendQuota),
            (413, "Quota exceeded for instances", base.BackendQuota),
            (413, "This request was rate-limited.", base.RateLimited),
            (429, "Too many requests", base.RateLimited),
            (404, "Flavor x could not be found.", base.NotFound),
            (409, "Cannot 'reboot' instance while it is in task_state deleting", base.InProgress),
            (409, "Binding failed for port 1", base.Unavailable),
            (406, "Version 2.99 is not supported", base.InvalidSpec),
            (501, "", base.InvalidSpec),
            (500, "No valid host was found. There are not enough hosts available.", base.NoCapacity),
            (500, "", base.Unavailable),
            (502, "", base.Unavailable),
            (503, "", base.Unavailable),
            (504, "", base.Timeout),
        ):
            with self.subTest(status=status, text=text):
                self.assertIs(expected, type(answer(status, text)))

    def test_what_is_no_answer(self):
        for error, expected in (
            (ksa.ConnectTimeout("x"), base.Timeout),
            (requests.exceptions.ReadTimeout("x"), base.Timeout),
            (ksa.ConnectFailure("x"), base.Unavailable),
            (ksa.SSLError("x"), base.Unavailable),
            (ksa.EndpointNotFound("x"), base.Unavailable),
            (sdk.ServiceDiscoveryException("x"), base.Unavailable),
            (sdk.NotSupported("x"), base.Unavailable),
            (ksa.Unauthorized("x"), base.Unauthorized),
            (ksa.MissingRequiredOptions([]), base.Unauthorized),
        ):
            with self.subTest(error=type(error).__name__):
                found = faults.translated(error)
                self.assertIs(expected, type(found))

    def test_what_nobody_knows_is_not_translated(self):
        self.assertIsNone(faults.translated(KeyError("x")))

    def test_retry_after_is_kept(self):
        self.assertEqual(7.0, answer(429, **{"Retry-After": "7"}).retry_after)
        self.assertIsNone(answer(429, **{"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}).retry_after)

    def test_tenants_read_no_addresses_and_no_secrets(self):
        text = "cannot reach http://10.1.2.3:8774/v2.1 for /var/lib/nova (req-0123-abcd)"
        for status in (400, 404):
            self.assertNotRegex(answer(status, text).message, r"10\.1|http|/var|req-")
        self.assertNotIn("secret", faults.translated(ksa.ConnectFailure("secret at http://x")).message)

    def test_logging_in_anew_helps_only_where_it_can(self):
        self.assertTrue(faults.login_helps(ksa.Unauthorized("x")))
        self.assertTrue(faults.login_helps(ksa.EndpointNotFound("x")))
        self.assertFalse(faults.login_helps(ksa.ConnectFailure("x")))

    def test_faults_of_servers(self):
        for text, expected in (
            ("No valid host was found. ", base.NoCapacity),
            ("Exceeded maximum number of retries. Exhausted all hosts available", base.NoCapacity),
            ("Build of instance 1 aborted: Failed to allocate the network(s)", base.Unavailable),
            ("Build of instance 1 aborted: Image 2 is not active.", base.InvalidSpec),
            ("VolumeSizeExceedsAvailableQuota: quota exceeded", base.BackendQuota),
            (f"Build aborted: Volume {'1' * 36} did not finish being created even after", base.Unavailable),
        ):
            with self.subTest(text=text):
                self.assertIs(expected, faults.of_server(500, text).error)
        for text in (
            "MessagingTimeout",
            "MessageDeliveryFailure",
            "GlanceConnectionFailed",
            "DBConnectionError",
        ):
            self.assertTrue(faults.of_server(500, text).error.retryable, text)
        self.assertIsNone(faults.of_server(500, "libvirt said something"))

    def test_every_row_can_be_reached(self):
        """A row that an earlier one hides would be a wrong line of the documentation."""
        for row in faults.ROWS:
            for status in row.statuses or (None,):
                words = (
                    row.text.split("|")[0]
                    .replace("can ?not", "can not")
                    .replace(".{0,80}", " is ")
                    .replace(".{0,20}", " ")
                    if row.text
                    else ""
                )
                answer_ = faults.Answer(frozenset(row.kinds), status, words)
                first = next(one for one in faults.ROWS if one.matches(answer_))
                if first is row:
                    break
            else:
                self.fail(f"hidden: {row.what}")


class TestStates(unittest.TestCase):
    #: Nova's own list, of ``nova.api.openstack.common._STATE_MAP`` and the API reference.
    NOVA = [
        "ACTIVE",
        "BUILD",
        "DELETED",
        "ERROR",
        "HARD_REBOOT",
        "MIGRATING",
        "PASSWORD",
        "PAUSED",
        "REBOOT",
        "REBUILD",
        "RESCUE",
        "RESIZE",
        "REVERT_RESIZE",
        "SHELVED",
        "SHELVED_OFFLOADED",
        "SHUTOFF",
        "SOFT_DELETED",
        "SUSPENDED",
        "UNKNOWN",
        "VERIFY_RESIZE",
    ]

    def test_it_has_all_of_novas_states_and_no_others(self):
        self.assertEqual(sorted(self.NOVA), sorted({*states.STATES, "DELETED"}))

    def test_each_leads_somewhere(self):
        for status in self.NOVA:
            phase = states.phase(status, None)
            self.assertEqual(phase is None, status == "DELETED", status)

    def test_what_it_says(self):
        for status, task, phase in (
            (None, None, Phase.CREATING),
            ("BUILD", "spawning", Phase.CREATING),
            ("ACTIVE", None, Phase.RUNNING),
            ("ACTIVE", "powering-off", Phase.STOPPING),
            ("ACTIVE", "image_snapshot", Phase.RUNNING),
            ("ACTIVE", "deleting", Phase.DELETING),
            ("SHUTOFF", None, Phase.STOPPED),
            ("SHUTOFF", "powering-on", Phase.STARTING),
            ("ERROR", None, Phase.FAILED),
            ("ERROR", "deleting", Phase.DELETING),
            ("RESCUED", None, Phase.RUNNING),
            ("VERIFY_RESIZE", None, Phase.RUNNING),
            ("SHELVED_OFFLOADED", "unshelving", Phase.STARTING),
            ("NEVER_HEARD_OF", None, Phase.UNKNOWN),
        ):
            with self.subTest(status=status, task=task):
                self.assertIs(phase, states.phase(status, task))

    def test_whatever_is_not_busy_can_be_led_to_running_and_to_rest(self):
        for status, row in states.STATES.items():
            if row.phase is Phase.STOPPED:
                self.assertTrue(row.start, status)
                self.assertIsNone(row.stop, status)
