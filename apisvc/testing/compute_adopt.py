"""The scenarios of taking under management what others made. Part of :class:`apisvc.testing.compute.ComputeSuite`."""

import dataclasses
import uuid

from apisvc.compute import base
from apisvc.testing import backends, compute_case


class AdoptScenarios(compute_case.ComputeCase):
    def stray(self) -> base.Stray:
        """Something of others on the backend, as the driver lists it."""
        self.require("adopt")
        handle = self.make_stray()
        if handle is None:
            self.skipTest("nobody here can make what others made")
        return self.until(lambda: self.listed(handle), f"{handle} is listed")

    def listed(self, handle: str) -> base.Stray | None:
        found = [one for one in self.require("adopt").strays(deadline=self.soon()) if one.handle == handle]
        self.assertLessEqual(len(found), 1, "listed twice")
        return found[0] if found else None

    def fitting(self, stray: base.Stray) -> base.Workload:
        """The workload under which ``stray`` is left as it is."""
        instance_id = str(uuid.uuid4())
        self._made.add(instance_id)
        at_rest = stray.phase in (base.Phase.STOPPED, base.Phase.EXITED)
        return dataclasses.replace(
            backends.workload(instance_id),
            tenant=self.tenant,
            image=stray.image,
            vcpus=stray.vcpus,
            ram_mb=stray.ram_mb,
            disk_gb=stray.disk_gb,
            flavor="",
            command=stray.command,
            args=stray.args,
            env=stray.env,
            power="stopped" if at_rest else "running",
        )

    def adopt(self, workload: base.Workload, handle: str) -> base.Observed:
        seen: base.Observed = self.require("adopt").adopt(workload, handle, deadline=self.soon())
        return seen

    def test_adopt_lists_what_is_not_ours_and_only_that(self) -> None:
        stray = self.stray()
        self.assertTrue(stray.name and stray.image)
        self.assertTrue(stray.vcpus > 0 and stray.ram_mb > 0 and stray.disk_gb >= 0, stray)
        ours = self.run_one()
        seen = self.look(ours.id)
        self.assertIsNotNone(seen)
        self.assertIsNone(self.listed(seen.handle or ours.id if seen else ""))
        self.assertEqual([ours.id], [found.tag.instance_id for found in self.observe()])

    def test_adopt_makes_it_ours_as_it_is(self) -> None:
        stray = self.stray()
        workload = self.fitting(stray)
        adopted = self.adopt(workload, stray.handle)
        self.assertEqual((workload.id, workload.spec_hash), (adopted.tag.instance_id, adopted.tag.spec_hash))
        self.assertEqual((self.owner, self.tenant.id), (adopted.tag.owner, adopted.tag.tenant_id))
        self.assertEqual(stray.handle, adopted.handle)
        self.assertEqual(stray.phase, self.until_phase(workload.id, stray.phase).phase)
        self.assertIsNone(self.listed(stray.handle))
        # Converging finds nothing to change.
        self.ensure(workload)
        after = self.until_phase(workload.id, stray.phase)
        self.assertEqual((stray.handle, 1), (after.handle, self.count(workload.id)))

    def test_adopt_again_is_the_same(self) -> None:
        stray = self.stray()
        workload = self.fitting(stray)
        for _ in range(2):
            self.assertEqual(workload.id, self.adopt(workload, stray.handle).tag.instance_id)
        self.assertEqual(1, self.count(workload.id))

    def test_adopt_what_is_not_there_or_belongs_to_another(self) -> None:
        stray = self.stray()
        workload = self.fitting(stray)
        with self.assertRaises(base.NotFound):
            self.adopt(workload, "11111111-1111-4111-8111-111111111111")
        self.adopt(workload, stray.handle)
        other = self.fitting(stray)
        with self.assertRaises((base.InvalidSpec, base.NotFound)):
            self.adopt(other, stray.handle)
        self.assertEqual([workload.id], [found.tag.instance_id for found in self.observe()])

    def test_adopt_then_delete_takes_it_away(self) -> None:
        stray = self.stray()
        workload = self.fitting(stray)
        self.adopt(workload, stray.handle)
        self.gone(workload.id)
        self.assertIsNone(self.look(workload.id))
        self.assertIsNone(self.listed(stray.handle))
