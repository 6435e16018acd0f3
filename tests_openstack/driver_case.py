"""The driver on a real cloud, and the cloud's own client to look past it.

``OS_CLOUD`` names the cloud and ``OS_CLIENT_CONFIG_FILE`` the clouds.yaml that has it.
"""

import io
import os
import tempfile
import time
import unittest
import uuid

import openstack

from apisvc.compute import base
from apisvc.compute.openstack import driver, names
from apisvc.testing import backends

CLOUD = os.environ.get("OS_CLOUD", "")
CLOUDS_YAML = os.environ.get("OS_CLIENT_CONFIG_FILE", "")
PATIENCE = float(os.environ.get("APISVC_TEST_PATIENCE", "120"))
IMAGE = "apisvc-tiny"
#: Another one, for servers that get another image.
IMAGE2 = "apisvc-tiny-2"
EXTERNAL = "apisvc-external"


def client():
    """The cloud's own client, as the administrator."""
    return openstack.connect(cloud=CLOUD, compute_default_microversion=None)


def seed(cloud):
    """What the tests take for granted on the cloud; made once, and left for the next test."""
    for name in (IMAGE, IMAGE2):
        if cloud.image.find_image(name) is None:
            made = cloud.image.create_image(
                name=name, disk_format="raw", container_format="bare", visibility="public"
            )
            made.data = io.BytesIO(bytes(65536))
            made.upload(cloud.image)
    network = cloud.network.find_network(EXTERNAL)
    if network is None:
        network = cloud.network.create_network(
            name=EXTERNAL,
            is_router_external=True,
            provider_network_type="flat",
            provider_physical_network="apisvc",
        )
    if not list(cloud.network.subnets(network_id=network.id)):
        cloud.network.create_subnet(
            network_id=network.id, ip_version=4, cidr="198.51.100.0/24", is_dhcp_enabled=False
        )


def make(owner, **options):
    """A driver, as a process of its own would have it."""
    options = {
        "cloud": CLOUD,
        "clouds_yaml": CLOUDS_YAML,
        "manage_flavors": True,
        "external_network": EXTERNAL,
        "api_timeout": 60.0,
        **options,
    }
    return driver.OpenStackDriver(
        backends.context(driver.OpenStackDriver, owner=owner, state_dir=tempfile.gettempdir(), **options)
    )


def alive(cloud, instance_id):
    """The servers that there really are for an instance, but for those on their way out."""
    found = cloud.compute.servers(all_projects=True, tags=names.instance_tag(instance_id))
    return [one for one in found if one.task_state not in ("deleting", "soft-deleting")]


class DriverCase(unittest.TestCase):
    """A driver and a tenant of its own on the cloud; nothing is left of them."""

    options = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cloud = client()
        cls.addClassCleanup(cls.cloud.close)
        seed(cls.cloud)

    def setUp(self):
        super().setUp()
        self.owner = f"test-{uuid.uuid4().hex[:8]}"
        self.tenant = backends.tenant(str(uuid.uuid4()))
        self.driver = self.make()
        self.made = []
        self.addCleanup(self._clean)

    def make(self, owner=None, **options):
        made = make(owner or self.owner, **{**self.options, **options})
        self.addCleanup(made.close)
        return made

    def _clean(self):
        for workload in self.made:
            self.gone(workload)
        self.until(lambda: self.driver.remove_tenant(self.tenant.id, deadline=self.soon()), "removed")

    def soon(self):
        return time.monotonic() + PATIENCE

    def until(self, what, why):
        end = time.monotonic() + PATIENCE
        while not (answer := what()):
            self.assertLess(time.monotonic(), end, f"never: {why}")
            time.sleep(0.2)
        return answer

    def workload(self, **fields):
        instance_id = str(uuid.uuid4())
        fields = {"image": IMAGE, "ram_mb": 64, "name": "test", "tenant": self.tenant, **fields}
        workload = backends.workload(instance_id, **fields)
        self.made.append(workload)
        return workload

    def ensure(self, workload):
        """Until the driver no longer says that it is busy; what it answered then."""

        def ensured():
            try:
                return self.driver.ensure(workload, deadline=self.soon())
            except base.InProgress:
                return None

        return self.until(ensured, "ensured")

    def look(self, workload):
        found = self.driver.observe([workload.id], deadline=self.soon())
        return found[0] if found else None

    def until_phase(self, workload, phase, **fields):
        """Ensured and looked at, as a worker does, until it is so."""
        latest = [None]

        def there():
            seen = latest[0] = self.look(workload)
            if seen is None or seen.tag.spec_hash != workload.spec_hash:
                self.ensure(workload)
                return None
            right = seen.phase is phase and all(getattr(seen, k) == v for k, v in fields.items())
            return seen if right else None

        try:
            return self.until(there, f"{phase} {fields}")
        except AssertionError as error:
            raise AssertionError(f"{error}; last seen {latest[0]}") from None

    def run_one(self, **fields):
        workload = self.workload(**fields)
        self.ensure(workload)
        self.until_phase(workload, base.Phase.RUNNING)
        return workload

    def gone(self, workload):
        def deleted():
            try:
                return self.driver.delete(workload.id, self.tenant.id, deadline=self.soon())
            except base.InProgress:
                return False

        self.until(deleted, "deleted")

    def server(self, workload):
        """The one server that there is, as the cloud's own client sees it."""
        found = alive(self.cloud, workload.id)
        self.assertEqual(1, len(found), found)
        return found[0]

    def project(self):
        """The tenant's project, or None."""
        name = names.scope(self.owner, self.tenant.id)
        return next(iter(self.cloud.identity.projects(name=name)), None)
