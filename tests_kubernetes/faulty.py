"""The service on a cluster of the test's own, which it may break."""

import concurrent.futures
from collections.abc import Callable, Mapping, Sequence

import testtools

from tests_kubernetes import clusters, service


class Faulty(testtools.TestCase):
    """A deployment with the tenants ``acme`` and ``globex`` on the class's cluster, the backend ``east``."""

    own: clusters.Lab
    #: The node is a real one.
    real = False
    #: More options for a server, by its name.
    options: Mapping[str, Sequence[str]] = {}
    #: Seconds between looks at everything. None after the first, or one may find that the cluster is away
    #: before the test asks for an instance on it, which then is refused.
    looks = 3600

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.own = clusters.Lab(kwok=0 if cls.real else 3, real=cls.real, options=cls.options)
        cls.own.setUp()
        cls.addClassCleanup(cls.own.cleanUp)

    def setUp(self) -> None:
        super().setUp()
        self.service = self.useFixture(
            service.Service(self.kubeconfigs(), {"worker": {"resync_interval": self.looks}})
        )
        self.cluster = service.Cluster(self.own.kubeconfig, self.service.prefix)
        self.acme, self.globex = (self.service.tenant(name) for name in ("acme", "globex"))

    def kubeconfigs(self) -> dict[str, str]:
        """Of its backends, by name."""
        return {"east": self.own.kubeconfig}

    def several(self, call: Callable[[str], object], instances: list[str]) -> None:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(call, instances))

    def active(self, tenant: str) -> set[str]:
        """Ids of the tenant's instances that are as asked for."""
        return {
            found["id"]
            for found in self.service.instances(tenant)
            if found["status"]["state"] == "active"
            and found["status"]["observed_generation"] == found["generation"]
        }

    def made_again(self, instance: str, before: str) -> bool:
        """Whether its pod is another than ``before``."""
        pod = self.cluster.pod(self.acme, instance)
        return pod is not None and pod.metadata.uid != before

    def until_active(self, tenant: str, wanted: set[str]) -> None:
        clusters.wait_for(
            lambda: f"all active but {wanted - self.active(tenant)}: {self.service.log('worker.log')}",
            lambda: self.active(tenant) == wanted,
        )

    def assert_real(self, tenant: str, wanted: set[str]) -> None:
        """Records, ledger and pods are the same."""
        self.assertEqual(wanted, {found["id"] for found in self.service.instances(tenant)})
        self.assertEqual(len(wanted), self.service.usage(tenant))
        self.assertEqual(wanted, set(self.cluster.pods(tenant)))
