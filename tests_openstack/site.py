"""apisvc over HTTP, with a worker, on the cloud: the backend ``private``, beside ``first``, which is a fake one."""

import json
import pathlib
import uuid
from collections import Counter
from typing import Any

import fixtures

from apisvc.compute.openstack import names
from tests.functional import deployment
from tests_openstack import driver_case

#: Seconds until everything is as asked for, on a busy machine, after the cloud is whole again.
CONVERGED = 900.0


class Site(fixtures.Fixture):
    """``endpoints``: services of the cloud by type that are asked elsewhere, such as ``{"compute": URL}``."""

    def __init__(self, endpoints: dict[str, str] | None = None, **options: Any) -> None:
        super().__init__()
        self._endpoints = endpoints or {}
        self._options = options

    def _setUp(self) -> None:
        self.ground = self.useFixture(driver_case.Ground())
        #: In the tags of everything on the cloud.
        self.owner = f"test-{uuid.uuid4().hex[:8]}"
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        backend = self.ground.options(
            cloud="it",
            clouds_yaml=self._clouds(folder / "clouds.yaml"),
            network_policy="none",
            api_timeout=20,
            build_timeout=60,
            delete_timeout=60,
        )
        self.service = self.useFixture(
            deployment.Deployment(
                {
                    "DEFAULT": {"enabled_backends": "private, first", "deployment": self.owner},
                    "private": {"driver": "openstack", **backend, **self._options},
                    "worker": {"lease_ttl": 15, "resync_interval": 5, "retry_max": 5},
                }
            )
        )
        self.service.start_api()
        self.service.start_worker()
        self.service.made("/v1/admin/flavors", {"name": "tiny", "vcpus": 1, "ram_mb": 64, "disk_gb": 1})
        references = {"fake": "host", "openstack": self.ground.images[0]}
        self.service.made("/v1/admin/images", {"name": "host", "references": references})
        self.tenants: list[str] = []
        self.addCleanup(self._remove_tenants)

    def _clouds(self, path: pathlib.Path) -> str:
        """A clouds.yaml (JSON is YAML, too) of the cloud named ``it``."""
        config = self.ground.admin.config
        overrides = {f"{kind}_endpoint_override": url for kind, url in self._endpoints.items()}
        cloud = {"auth": dict(config.auth), "region_name": config.region_name, **overrides}
        path.write_text(json.dumps({"clouds": {"it": cloud}}))
        path.chmod(0o600)
        return str(path)

    # Asking

    def tenant(self, name: str) -> str:
        """A new tenant with every right to resources."""
        quota = {"instances": -1, "vcpus": -1, "ram_mb": -1, "disk_gb": -1}
        self.service.made("/v1/admin/tenants", {"name": name, "quota": quota})
        self.tenants.append(name)
        return name

    def create(self, tenant: str, backend: str = "private", **fields: Any) -> str:
        """Ask for an instance, until the backend is in sight and has room; its id."""
        wanted = {"image": "host", "flavor": "tiny", "backend": backend, **fields}
        return str(self.service.taken(f"/v1/tenants/{tenant}/instances", wanted)["id"])

    def delete(self, tenant: str, instance: str) -> None:
        answer = self.service.call("DELETE", f"/v1/tenants/{tenant}/instances/{instance}")
        assert answer.status_code == 202, answer.text

    def status(self, tenant: str, instance: str) -> Any:
        """Of the instance, as the API tells it."""
        return self.service.call("GET", f"/v1/tenants/{tenant}/instances/{instance}").json()["status"]

    # Judging

    def servers(self) -> list[Any]:
        """All servers of this deployment, with those on their way out."""
        tag = names.owner_tag(self.owner)
        return list(self.ground.admin.compute.servers(all_projects=True, tags=tag))

    def volumes(self) -> list[Any]:
        """All volumes in this deployment's projects."""
        projects = {one.id for one in self.ground.admin.identity.projects(tags=names.owner_tag(self.owner))}
        found = self.ground.admin.block_storage.volumes(all_projects=True)
        return [one for one in found if one.project_id in projects]

    def differences(self, tenant: str, wanted: set[str]) -> list[str]:
        """Between what was asked for, the API, the ledger and the cloud."""
        instances = self.service.instances(tenant)
        shown = {one["id"] for one in instances}
        found = [f"in the API: {sorted(wanted ^ shown)}"] if wanted != shown else []
        for one in instances:
            status = one["status"]
            if status["state"] != "active":
                found.append(f"{one['id']} is {status['state']}: {status.get('fault')}")
        used = self.service.call("GET", f"/v1/tenants/{tenant}/usage").json()["used"]
        if used["instances"] != len(wanted) or used["ram_mb"] != 64 * len(wanted):
            found.append(f"the ledger says {used}")
        servers = Counter(one.metadata[names.INSTANCE] for one in self.servers())
        for instance in wanted | set(servers):
            if servers[instance] != (instance in wanted):
                found.append(f"{instance} has {servers[instance]} servers")
        return found

    def converge(self, tenant: str, wanted: set[str]) -> None:
        """Until nothing differs."""

        def told() -> str:
            found = "; ".join(self.differences(tenant, wanted)[:20])
            return f"{found}\n{self.service.log('worker.log')}"

        deployment.wait_for(told, lambda: not self.differences(tenant, wanted), CONVERGED)
        self.service.command("manage", "store", "check")

    def _remove_tenants(self) -> None:
        for name in self.tenants:
            self.service.call("DELETE", f"/v1/admin/tenants/{name}")
        for name in self.tenants:
            path = f"/v1/admin/tenants/{name}"
            deployment.wait_for(
                f"tenant {name} is removed", lambda path=path: self._status(path) == 404, CONVERGED
            )
        projects = self.ground.admin.identity.projects(tags=names.owner_tag(self.owner))
        left = [project.name for project in projects] + [one.name for one in self.servers()]
        assert left == [], left

    def _status(self, path: str) -> int:
        return self.service.call("GET", path).status_code
