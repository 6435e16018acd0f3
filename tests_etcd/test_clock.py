"""The clock of a host jumps, by hours and days, both ways: nothing depends on it but the times that are shown."""

import pathlib
import textwrap

import testtools

from tests.functional import deployment
from tests_etcd import cluster

#: In every Python process of the deployment: ``time.time()`` is off by what the file says.
_PATCH = """
import os, sys, time

real, path = time.time, os.environ["APISVC_TEST_CLOCK"]


def jumping():
    # grpc adds a timeout to this and leaves the rest to C, which reads the machine's own clock.
    if sys._getframe(1).f_globals["__name__"].startswith("grpc"):
        return real()
    with open(path) as file:
        return real() + float(file.read())


time.time = jumping
"""
HOUR = 3600.0


class Jumping(deployment.Deployment):
    """A deployment on a clock of its own. That of etcd cannot be moved without the machine's; etcd counts its leases
    by a clock that does not jump."""

    def _setUp(self) -> None:
        self.useFixture(cluster_of := cluster.Cluster())
        self.options = {
            "storage": {"driver": "etcd"},
            "etcd": {"endpoints": ",".join(cluster_of.endpoints)},
        }
        super()._setUp()

    def environment(self) -> dict[str, str]:
        clock = self.folder / "clock"
        if not clock.exists():
            (self.folder / "sitecustomize.py").write_text(textwrap.dedent(_PATCH))
            self.jump(0.0)
        inherited = super().environment()
        path = f"{self.folder}:{inherited.get('PYTHONPATH', '')}".rstrip(":")
        return {**inherited, "PYTHONPATH": path, "APISVC_TEST_CLOCK": str(clock)}

    def jump(self, seconds: float) -> None:
        scratch = self.folder / "clock.new"
        scratch.write_text(str(seconds))
        scratch.replace(pathlib.Path(self.folder / "clock"))


class TestClock(testtools.TestCase):
    def test_instances_are_made_and_deleted_whatever_it_says(self) -> None:
        service = self.useFixture(Jumping())
        service.start_api()
        service.start_worker()
        service.start_worker()
        service.catalogue()
        path = "/v1/tenants/acme/instances"
        shown = set()
        for turn, jump in enumerate((0.0, 30 * HOUR, -200 * HOUR, 24 * 20 * HOUR, -1.0, 0.0)):
            service.jump(jump)
            made = service.made(path, {"name": f"i-{turn}", "flavor": "tiny", "image": "host"})
            shown.add(made["created_at"][:10])
            one = f"{path}/{made['id']}"
            deployment.wait_for(
                f"it is active with the clock off by {jump} s",
                lambda one=one: service.call("GET", one).json()["status"]["state"] == "active",
            )
            self.assertEqual(202, service.call("DELETE", one).status_code)
            deployment.wait_for(
                f"it is gone with the clock off by {jump} s",
                lambda one=one: service.call("GET", one).status_code == 404,
            )
            self.assertEqual(200, service.call("GET", "/readyz").status_code)
        self.assertGreaterEqual(len(shown), 4, "the clock did jump")
        used = service.call("GET", "/v1/tenants/acme/usage").json()["used"]
        self.assertEqual(0, used["instances"])
        self.assertIn(" 0 wrong.", service.command("manage", "store", "check"))
