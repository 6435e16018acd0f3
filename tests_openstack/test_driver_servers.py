"""What the contract suite cannot know: projects, networks, images, key pairs, addresses and twins on a real cloud."""

import dataclasses

from apisvc.compute import base
from apisvc.compute.openstack import names
from tests_openstack import driver_case

Phase = base.Phase


class TestServers(driver_case.DriverCase):
    def test_a_server_with_everything_and_nothing_left_of_it(self):
        workload = self.run_one(
            ssh_key=driver_case.KEY,
            user_data="#!/bin/sh\necho hello\n",
            public_address=True,
            labels={"team": "blue"},
        )
        server, seen = self.server(workload), self.look(workload)
        self.assertEqual(names.server(workload.id), server.name)
        self.assertEqual("blue", server.metadata["team"])
        self.assertEqual(names.server(workload.id), server.key_name)
        self.assertEqual([], [pair.name for pair in self.cloud.compute.keypairs()], "a key pair is left")
        project = self.project()
        self.assertEqual(project.id, server.project_id)
        (address,) = self.cloud.network.ips(project_id=project.id)
        self.assertEqual(next(iter(self.cloud.network.ports(device_id=server.id))).id, address.port_id)
        self.assertTrue(seen.addresses)
        self.gone(workload)
        self.until(lambda: self.driver.remove_tenant(self.tenant.id, deadline=self.soon()), "removed")
        self.assert_nothing_left(project)

    def assert_nothing_left(self, project):
        nova, neutron = self.cloud.compute, self.cloud.network
        left = {
            "servers": list(nova.servers(all_projects=True, project_id=project.id)),
            "projects": [one for one in self.cloud.identity.projects() if one.id == project.id],
            "users": [one for one in self.cloud.identity.users() if self.tenant.id in one.name],
            "images": list(self.cloud.image.images(owner=project.id)),
        }
        # Not filtered by Neutron, which would make a default group to answer.
        for kind in ("networks", "subnets", "routers", "ports", "ips", "security_groups"):
            left[kind] = [one for one in getattr(neutron, kind)() if one.project_id == project.id]
        self.assertEqual({}, {kind: found for kind, found in left.items() if found})

    def test_a_tenant_converges_and_costs_nothing_when_nothing_changed(self):
        tenant = dataclasses.replace(
            self.tenant, limits={"instances": 3, "vcpus": 4, "ram_mb": 512, "disk_gb": -1}
        )
        self.driver.ensure_tenant(tenant, deadline=self.soon())
        project = self.project()
        self.assertIn(self.tenant.id, project.description)
        self.assertEqual({f"apisvc:{self.owner}", f"apisvc-tenant:{self.tenant.id}"}, set(project.tags))
        quota = self.cloud.compute.get_quota_set(project.id)
        self.assertEqual((3, 4, 512), (quota.instances, quota.cores, quota.ram))
        home = self.driver._clouds.home()
        asked = []
        home.session.session.hooks["response"].append(lambda answer, **_: asked.append(answer.request.method))
        self.driver.ensure_tenant(tenant, deadline=self.soon())
        self.assertTrue(asked)
        self.assertEqual({"GET", "HEAD"} | set(asked), {"GET", "HEAD"}, "something was written")
        # Somebody takes a part away; another limit is given.
        (group,) = [
            g for g in self.cloud.network.security_groups() if g.name == names.scope(self.owner, tenant.id)
        ]
        self.cloud.network.delete_security_group(group)
        more = dataclasses.replace(tenant, limits={**tenant.limits, "instances": 5})
        self.driver.ensure_tenant(more, deadline=self.soon())
        self.assertEqual(5, self.cloud.compute.get_quota_set(project.id).instances)
        groups = [g.name for g in self.cloud.network.security_groups() if g.project_id == project.id]
        self.assertIn(names.scope(self.owner, tenant.id), groups)

    def test_the_clouds_quota_says_no(self):
        tenant = dataclasses.replace(
            self.tenant, limits={"instances": 0, "vcpus": -1, "ram_mb": -1, "disk_gb": -1}
        )
        self.driver.ensure_tenant(tenant, deadline=self.soon())
        workload = self.workload(tenant=tenant)
        with self.assertRaises(base.BackendQuota):
            self.driver.ensure(workload, deadline=self.soon())
        self.assertEqual([], self.ground.alive(workload.id))

    def test_another_image_is_a_rebuild_and_another_key_a_new_server(self):
        workload = self.run_one()
        before = self.server(workload)
        other = dataclasses.replace(workload, image=self.ground.images[1], spec_hash="image")
        self.until_phase(other, Phase.RUNNING)
        server = self.server(workload)
        self.assertEqual((before.id, self.ground.images[1]), (server.id, server.image.id))
        keyed = dataclasses.replace(other, ssh_key=driver_case.KEY, spec_hash="key")
        self.until_phase(keyed, Phase.RUNNING)
        self.assertNotEqual(before.id, self.server(workload).id)

    def test_no_room_is_found_out_told_and_leaves_nothing(self):
        workload = self.workload(ram_mb=1 << 30)
        self.driver.ensure(workload, deadline=self.soon())
        seen = self.until(lambda: (s := self.look(workload)) and s.phase is Phase.FAILED and s, "it failed")
        self.assertEqual(("NoValidHost", ""), (seen.reason, seen.tag.spec_hash))
        with self.assertRaises(base.NoCapacity):
            self.driver.ensure(workload, deadline=self.soon())
        self.until(lambda: not self.ground.alive(workload.id), "it is gone")

    def test_a_twin_goes_whoever_sees_it(self):
        workload = self.run_one()
        elder = self.server(workload)
        with self.driver._clouds.until(self.soon()):
            nova = self.driver._clouds.project(elder.project_id).compute
            twin = nova.create_server(
                name=elder.name,
                image_id=elder.image.id,
                flavor_id=next(one for one in nova.flavors() if one.name == elder.flavor.original_name).id,
                networks="none",
                metadata=elder.metadata,
                tags=list(elder.tags),
            )
        self.assertEqual([elder.id], [seen.handle for seen in self.driver.observe(deadline=self.soon())])
        self.until(lambda: [one.id for one in self.ground.alive(workload.id)] == [elder.id], twin.id)

    def test_a_server_in_a_strange_project_is_not_taken_for_ours(self):
        workload = self.run_one()
        ours = self.server(workload)
        forged = self.cloud.compute.create_server(
            name="forged",
            image_id=ours.image.id,
            flavor_id=self.ground.flavor("-forged").id,
            networks="none",
            metadata=ours.metadata,
            tags=list(ours.tags),
        )
        self.addCleanup(self.cloud.compute.delete_server, forged)
        (seen,) = self.driver.observe(deadline=self.soon())
        self.assertEqual(ours.id, seen.handle)
        self.gone(workload)
        self.assertIsNotNone(self.cloud.compute.get_server(forged.id))
