"""Every change on the cloud is the last one that the process lives to see; the next process goes on from there."""

import requests

from apisvc.compute import base
from apisvc.compute.openstack import names
from tests_openstack import driver_case

Phase = base.Phase
_READS = ("GET", "HEAD")
#: Every change is one try more; there are about a dozen.
_TRIES = 60


class Died(requests.exceptions.ConnectionError):
    """What the driver sees in place of the cloud's answer to its first change."""


class TestCrashes(driver_case.DriverCase):
    def _mortal(self, died):
        """A driver that loses the answer to the first thing it changes, and is then as good as dead."""
        made = self.make()

        def lose(answer, **_):
            request = answer.request
            if request.method not in _READS and not request.url.endswith("/auth/tokens"):
                died.append(f"{request.method} {request.path_url}")
                raise Died

        with made._clouds.until(self.soon()):
            made._clouds.home().session.session.hooks["response"].append(lose)
            project = made._clouds.project

        def mortal_project(project_id):
            found = project(project_id)
            if lose not in found.session.session.hooks["response"]:
                found.session.session.hooks["response"].append(lose)
            return found

        made._clouds.project = mortal_project
        return made

    def _again_and_again(self, call):
        """``call(driver)`` by one mortal driver after the other, until one has nothing left to change."""
        died = []
        for _ in range(_TRIES):
            before = len(died)
            try:
                done = call(self._mortal(died))
            except base.Unavailable:
                self.assertEqual(before + 1, len(died), "it failed for another reason")
                continue
            except base.InProgress:
                continue
            if done is not False and len(died) == before:
                return died
        raise AssertionError(f"it never ended: {died}")

    def test_a_tenant_is_made_and_removed_one_change_at_a_time(self):
        died = self._again_and_again(lambda driver: driver.ensure_tenant(self.tenant, deadline=self.soon()))
        self.assertGreater(len(died), 8, died)
        name, neutron = names.scope(self.owner, self.tenant.id), self.cloud.network
        project = self.project()
        for kind in ("networks", "subnets", "routers", "security_groups"):
            found = [one for one in getattr(neutron, kind)() if one.name == name]
            self.assertEqual(1, len(found), kind)
        died = self._again_and_again(
            lambda driver: driver.remove_tenant(self.tenant.id, deadline=self.soon())
        )
        self.assertGreater(len(died), 4, died)
        self.assertIsNone(self.project())
        for kind in ("networks", "subnets", "routers", "ports", "security_groups"):
            left = [one.id for one in getattr(neutron, kind)() if one.project_id == project.id]
            self.assertEqual([], left, kind)

    def test_a_server_is_made_once_though_no_answer_arrives(self):
        self.driver.ensure_tenant(self.tenant, deadline=self.soon())
        workload = self.workload(public_address=True)
        self._again_and_again(lambda driver: driver.ensure(workload, deadline=self.soon()))
        self.until_phase(workload, Phase.RUNNING)
        server = self.server(workload)
        self.assertEqual(1, len(list(self.cloud.network.ips(project_id=server.project_id))))
        died = self._again_and_again(
            lambda driver: driver.delete(workload.id, self.tenant.id, deadline=self.soon())
        )
        self.assertTrue(died)
        self.assertEqual([], self.ground.alive(workload.id))
        self.assertEqual([], list(self.cloud.network.ips(project_id=server.project_id)))
