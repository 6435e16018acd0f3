"""Volumes of Cinder: made with the server, attached to it, and gone with it."""

import dataclasses

from apisvc.compute import base
from tests_openstack import driver_case

Phase = base.Phase


class VolumesCase(driver_case.DriverCase):
    def setUp(self):
        if not self.cloud.endpoint_for("block-storage"):
            self.skipTest("NOT RUN: the cloud has no block storage")
        super().setUp()

    def volumes(self):
        """Size -> volume, of all that the tenant's project has."""
        everything = {"all_projects": True, "project_id": self.project().id}
        found = list(self.cloud.block_storage.volumes(**everything))
        self.assertEqual(len(found), len({one.size for one in found}), found)
        return {one.size: one for one in found}

    def assert_attached(self, server, sizes):
        found = self.volumes()
        self.assertEqual(sizes, set(found))
        for one in found.values():
            self.assertEqual("in-use", one.status)
            self.assertEqual({server.id}, {attached["server_id"] for attached in one.attachments})

    def until_none(self):
        self.until(lambda: not self.volumes(), "its volumes are gone")


class TestVolumes(VolumesCase):
    def test_they_come_and_go_with_the_server(self):
        workload = self.run_one(volumes=(1, 2))
        self.assert_attached(self.server(workload), {1, 2})
        self.driver.stop(workload, deadline=self.soon())
        self.until_phase(workload, Phase.STOPPED)
        self.assert_attached(self.server(workload), {1, 2})
        self.gone(workload)
        self.until_none()

    def test_other_ones_are_another_server(self):
        workload = self.run_one(volumes=(1,))
        before = self.server(workload)
        changed = dataclasses.replace(workload, volumes=(2, 3), spec_hash="others")
        self.until_phase(changed, Phase.RUNNING)
        after = self.server(changed)
        self.assertNotEqual(before.id, after.id)
        self.until(lambda: set(self.volumes()) == {2, 3}, "only the new ones are there")
        self.assert_attached(after, {2, 3})

    def test_a_tenant_goes_with_what_it_made_itself(self):
        self.driver.ensure_tenant(self.tenant, deadline=self.soon())
        project = self.project()
        cinder = self.cloud.connect_as_project(project).block_storage
        mine = cinder.create_volume(size=1, name="mine")
        cinder.wait_for_status(mine, "available", wait=driver_case.PATIENCE)
        cinder.create_snapshot(volume_id=mine.id, name="mine")
        self.until(lambda: self.driver.remove_tenant(self.tenant.id, deadline=self.soon()), "removed")
        self.assertIsNone(self.project())
        everything = {"all_projects": True, "project_id": project.id}
        self.assertEqual([], list(self.cloud.block_storage.snapshots(**everything)))
        self.assertEqual([], list(self.cloud.block_storage.volumes(**everything)))


class TestRootDisk(VolumesCase):
    options = {"boot_from_volume": True}

    def test_it_is_a_volume_of_the_flavors_size(self):
        workload = self.run_one(disk_gb=3, volumes=(1,))
        server = self.server(workload)
        self.assert_attached(server, {1, 3})
        self.assertEqual("true", str(self.volumes()[3].is_bootable).lower())
        self.assertFalse(server.image)
        self.gone(workload)
        self.until_none()
