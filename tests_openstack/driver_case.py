"""The driver on a real cloud, and the cloud's own client to look past it. What a test makes is gone after it."""

import os
import tempfile
import time
import unittest
import uuid

from apisvc.compute import base
from apisvc.compute.openstack import driver, names
from apisvc.testing import backends
from tests_openstack import cloud

PATIENCE = cloud.PATIENCE
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFYLa0dTDRRCCbfVUr1jJcNHvL7qXVKFOMgV3kPoYLRK somebody@somewhere"


class Ground(cloud.Things):
    """What the driver needs on the cloud: images, and a network to the outside. For the tests of one class."""

    def _setUp(self):
        super()._setUp()
        self._images = [self.image(), self.image()]
        for image in self._images:  # so that tenants' projects can use them
            self.admin.image.update_image(image, visibility="public")
        self.images = [image.id for image in self._images]
        before = {flavor.id for flavor in self.admin.compute.flavors()}
        self.addCleanup(self._remove_flavors, before)
        self.external = next(iter(self.admin.network.networks(is_router_external=True)), None)
        if self.external is None:
            self.external = self._external()

    def images_of(self, number):
        """One of the images itself."""
        return self._images[number]

    def _external(self):
        neutron = self.admin.network
        made = neutron.create_network(
            name=self.name,
            is_router_external=True,
            provider_network_type="flat",
            provider_physical_network=self.name,
        )
        self.made(made, neutron.delete_network)
        neutron.create_subnet(network_id=made.id, ip_version=4, cidr="198.51.100.0/24", is_dhcp_enabled=False)
        return made

    def _remove_flavors(self, before):
        """Those that the driver made; on the cloud of a deployment they would stay."""
        for flavor in self.admin.compute.flavors():
            if flavor.id not in before and flavor.id.startswith("apisvc-"):
                self.admin.compute.delete_flavor(flavor)

    def options(self, **changed):
        """Options of a backend on this cloud."""
        return {
            "cloud": os.environ["OS_CLOUD"],
            "clouds_yaml": os.environ.get("OS_CLIENT_CONFIG_FILE"),
            "manage_flavors": True,
            "external_network": self.external.id,
            "api_timeout": PATIENCE,
            **changed,
        }

    def driver(self, owner, **changed):
        """A driver, as a process of its own would have it."""
        kind = driver.OpenStackDriver
        folder = tempfile.gettempdir()
        return kind(backends.context(kind, owner=owner, state_dir=folder, **self.options(**changed)))

    def alive(self, instance_id):
        """The servers that there really are for an instance, but for those on their way out."""
        found = self.admin.compute.servers(all_projects=True, tags=names.instance_tag(instance_id))
        return [one for one in found if one.task_state not in ("deleting", "soft-deleting")]


class DriverCase(unittest.TestCase):
    """A driver and a tenant of its own on the cloud; nothing is left of them."""

    options = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ground = Ground()
        cls.ground.setUp()
        cls.addClassCleanup(cls.ground.cleanUp)
        cls.cloud = cls.ground.admin

    def setUp(self):
        super().setUp()
        self.owner = f"test-{uuid.uuid4().hex[:8]}"
        self.tenant = backends.tenant(str(uuid.uuid4()))
        self.driver = self.make()
        self.made = []
        self.addCleanup(self._clean)

    def make(self, owner=None, **options):
        made = self.ground.driver(owner or self.owner, **{**self.options, **options})
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
        fields = {
            "image": self.ground.images[0],
            "ram_mb": 64,
            "name": "test",
            "tenant": self.tenant,
            **fields,
        }
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
        found = self.ground.alive(workload.id)
        self.assertEqual(1, len(found), found)
        return found[0]

    def project(self):
        """The tenant's project, or None."""
        name = names.scope(self.owner, self.tenant.id)
        return next(iter(self.cloud.identity.projects(name=name)), None)
