"""A cloud that is a script: what it answers to which request, for failures that no real one makes on demand."""

import re
import time
import unittest

import requests
import requests_mock
from keystoneauth1 import fixture

from apisvc.compute.openstack import driver, names
from apisvc.testing import backends

AUTH = "http://keystone.test/v3"
NOVA = "http://nova.test/v2.1"
NEUTRON = "http://neutron.test"
GLANCE = "http://glance.test"
PROJECT = "a" * 32
#: What a request meets whose answer never comes.
LOST = requests.exceptions.ReadTimeout
OWNER = "apisvc-test"
PASSWORD = "the-password-of-the-cloud"
SERVICES = {"compute": NOVA, "network": NEUTRON, "image": GLANCE}


def soon():
    return time.monotonic() + 10


def server(instance_id="i", **fields):
    """A running server of ours, as Nova tells it."""
    metadata = {
        names.OWNER: OWNER,
        names.TENANT: "tenant-1",
        names.INSTANCE: instance_id,
        names.SPEC: "spec-1",
        names.POWER: "running",
        names.RESTART: "always",
        **fields.pop("metadata", {}),
    }
    return {
        "id": "server-1",
        "name": names.server(instance_id),
        "status": "ACTIVE",
        "created": "2026-01-01T00:00:00Z",
        "updated": "2026-01-01T00:00:10Z",
        "tenant_id": PROJECT,
        "metadata": metadata,
        "tags": [names.owner_tag(OWNER), names.instance_tag(instance_id)],
        "addresses": {"net": [{"addr": "10.0.0.5", "version": 4, "OS-EXT-IPS:type": "fixed"}]},
        "flavor": {"vcpus": 1, "ram": 256, "disk": 1, "original_name": "small"},
        "image": {"id": "image-1"},
        "OS-EXT-STS:task_state": None,
        "OS-SRV-USG:launched_at": "2026-01-01T00:00:05.000000",
        "OS-EXT-SRV-ATTR:hypervisor_hostname": "host-1",
        **fields,
    }


class ScriptedCase(unittest.TestCase):
    """A driver in one shared project of a scripted cloud; ``self.http`` takes the script."""

    services = SERVICES
    options = {}

    def setUp(self):
        super().setUp()
        self.http = requests_mock.Mocker()
        self.http.start()
        self.addCleanup(self.http.stop)
        self._keystone()
        self._nova()
        self.http.get(f"{NEUTRON}/", json={"versions": [self._version("v2.0", f"{NEUTRON}/v2.0/")]})
        self.http.get(
            f"{GLANCE}/", status_code=300, json={"versions": [self._version("v2.9", f"{GLANCE}/v2/")]}
        )
        self.driver = self.make(**self.options)

    def make(self, **options):
        options = {
            "auth_url": AUTH,
            "username": "me",
            "password": PASSWORD,
            "project": "mine",
            "tenancy": "shared-project",
            "network_policy": "none",
            "api_retries": 0,
            **options,
        }
        made = driver.OpenStackDriver(
            backends.context(driver.OpenStackDriver, owner=OWNER, state_dir="", **options)
        )
        self.addCleanup(made.close)
        return made

    def _keystone(self):
        discovery = fixture.V3Discovery(AUTH)
        self.http.get(AUTH, json={"version": discovery})
        self.token = fixture.V3Token(user_id="u" * 32, project_id=PROJECT, project_name="mine")
        for kind, url in self.services.items():
            self.token.add_service(kind, name=kind).add_standard_endpoints(public=url, region="here")
        headers = {"X-Subject-Token": "a-token"}
        self.http.post(f"{AUTH}/auth/tokens", json=self.token, headers=headers)

    def _nova(self):
        version = {**self._version("v2.1", f"{NOVA}/"), "version": "2.90", "min_version": "2.1"}
        for url in (NOVA, f"{NOVA}/"):
            self.http.get(url, json={"version": version})
        self.servers()
        self.http.get(re.compile(f"{NOVA}/flavors"), json={"flavors": [FLAVOR]})
        self.keys()
        self.http.get(re.compile(f"{GLANCE}/v2/images"), json={"images": [IMAGE]})

    @staticmethod
    def _version(version_id, url):
        return {"id": version_id, "status": "CURRENT", "links": [{"rel": "self", "href": url}]}

    def servers(self, *found):
        """What the list of servers answers from now on."""
        self.http.get(f"{NOVA}/servers/detail", json={"servers": list(found)})

    def keys(self, *names_):
        """Our key pairs from now on."""
        found = [{"keypair": {"name": name, "public_key": "ssh-ed25519 AAAA me"}} for name in names_]
        self.http.get(f"{NOVA}/os-keypairs", json={"keypairs": found})
        self.http.delete(re.compile(f"{NOVA}/os-keypairs/"), status_code=202)

    def asked(self, method, path):
        """The requests so far."""
        return [one for one in self.http.request_history if one.method == method and one.path.endswith(path)]

    def workload(self, instance_id="i", **fields):
        fields = {"image": "tiny", **fields}
        return backends.workload(instance_id, **fields)


FLAVOR = {
    "id": "f1",
    "name": "small",
    "vcpus": 1,
    "ram": 256,
    "disk": 1,
    "os-flavor-access:is_public": True,
    "OS-FLV-DISABLED:disabled": False,
}
IMAGE = {"id": "image-1", "name": "tiny", "status": "active"}
