"""apisvc as the deployer lets it in: by etc/kubernetes/rbac.yaml and nothing else."""

import pathlib
import uuid
from typing import Any

import fixtures
import kubernetes
import yaml

from tests_kubernetes import clusters

MANIFEST = pathlib.Path(__file__).parents[1] / "etc" / "kubernetes" / "rbac.yaml"


class Rights(fixtures.Fixture):
    """The manifest under names of the test's own; ``kubeconfig`` is that of its service account.

    ``admin``: the kubeconfig of who may set that up, by default on the cluster to test on.
    """

    def __init__(self, admin: str | None = None) -> None:
        super().__init__()
        self.admin = admin or clusters.kubeconfig()

    def _setUp(self) -> None:
        name = f"apisvc-test-{uuid.uuid4().hex[:8]}"
        text = MANIFEST.read_text().replace("apisvc-system", name)
        client = clusters.api(self.admin)
        core = kubernetes.client.CoreV1Api(client)
        rbac = kubernetes.client.RbacAuthorizationV1Api(client)
        space, account, role, binding = list(yaml.safe_load_all(text))
        role["metadata"]["name"] = binding["metadata"]["name"] = binding["roleRef"]["name"] = name
        self.addCleanup(core.delete_namespace, name)
        core.create_namespace(space)
        core.create_namespaced_service_account(name, account)
        self.addCleanup(rbac.delete_cluster_role, name)
        rbac.create_cluster_role(role)
        self.addCleanup(rbac.delete_cluster_role_binding, name)
        rbac.create_cluster_role_binding(binding)
        asked = {"spec": {"expirationSeconds": 3600 * 4}}
        token = core.create_namespaced_service_account_token(account["metadata"]["name"], name, asked)
        self.kubeconfig = str(self._write(token.status.token))

    def _write(self, token: str) -> pathlib.Path:
        folder = self.useFixture(fixtures.TempDir()).path
        config: dict[str, Any] = yaml.safe_load(pathlib.Path(self.admin).read_text())
        for user in config["users"]:
            user["user"] = {"token": token}
        path = pathlib.Path(folder) / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path
