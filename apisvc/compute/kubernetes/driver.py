"""The ``kubernetes`` driver: an instance is a pod in a namespace of its tenant.

What is there is seen by :mod:`.instances` (from the :mod:`.cache` that
:mod:`.watching` keeps current, or from the API server), what should be is made
so by :mod:`.converge`, what the API server refuses is explained by
:mod:`.refusals`. Nothing is kept that could not be found again by looking.
"""

import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

from oslo_config import cfg

from apisvc.compute import base
from apisvc.compute.kubernetes import (
    adoption,
    cache,
    client,
    converge,
    credentials,
    instances,
    logs,
    naming,
    nodes,
    objects,
    options,
    tenants,
    terminal,
    watching,
)

Call = TypeVar("Call", bound=Callable[..., Any])


def _call(method: Call) -> Call:
    """A call of the contract: none past its deadline, and its errors in the contract's words."""

    @functools.wraps(method)
    def call(*args: Any, deadline: float, **kwargs: Any) -> Any:
        if time.monotonic() >= deadline:
            raise base.Timeout
        try:
            return method(*args, deadline=deadline, **kwargs)
        except client.Refused as refused:
            raise refused.error from None

    return cast(Call, call)


class KubernetesDriver(
    base.ComputeDriver,
    base.Power,
    base.Logs,
    base.Exec,
    base.Cordon,
    base.Credentials,
    base.Adopt,
    base.Watch,
):
    contract = "1.0"
    accepts = frozenset({"command", "args", "env", "secret_env", "ports", "volumes"})

    def __init__(self, backend: base.BackendContext) -> None:
        super().__init__(backend)
        self._settings = options.read(backend.conf)
        self._names = naming.Naming(backend.owner, self._settings.namespace_prefix)
        self._api = client.Client(backend.name, self._settings)
        self._cache = cache.Cache()
        self._tenants = tenants.Tenants(self._api, self._names, self._settings)
        self._instances = instances.Instances(
            self._api, self._cache, self._names, self._settings, self._tenants.doubt
        )
        self._converger = converge.Converger(self._instances, self._names, self._settings)
        self._accounts = credentials.Accounts(self._api, self._names)

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return options.OPTIONS

    # The core

    @_call
    def check(self, *, deadline: float) -> base.Health:
        version = self._api.get("/version", objects.Version, deadline=deadline)
        # Anybody may ask for the version; that we may work here is shown by what we need.
        self._api.get(
            "/api/v1/namespaces",
            objects.BareList,
            deadline=deadline,
            labelSelector=f"{naming.OWNER}={self._names.owner}",
            limit=1,
        )
        return base.Health(version=version.git_version if version else "")

    @_call
    def ensure_tenant(self, tenant: base.TenantView, *, deadline: float) -> None:
        self._tenants.ensure(tenant, deadline)

    @_call
    def remove_tenant(self, tenant_id: str, *, deadline: float) -> bool:
        return self._tenants.remove(tenant_id, deadline)

    @_call
    def ensure(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        return self._converger.ensure(workload, deadline)

    @_call
    def observe(self, ids: Sequence[str] | None = None, *, deadline: float) -> Sequence[base.Observed]:
        return self._instances.observe(ids, deadline)

    @_call
    def delete(self, instance_id: str, tenant_id: str, *, deadline: float) -> bool:
        return self._instances.delete(instance_id, tenant_id, deadline)

    def close(self) -> None:
        self._api.close()

    # Power

    @_call
    def stop(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        return self._converger.stop(workload, deadline)

    @_call
    def start(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        return self._converger.start(workload, deadline)

    @_call
    def reboot(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        return self._converger.reboot(workload, deadline)

    # Looking in

    def watch(self, *, stop: threading.Event) -> Iterator[str]:
        try:
            yield from watching.Watch(self._api, self._cache, self._names).run(stop)
        except client.Refused as refused:
            raise refused.error from None

    @_call
    def logs(
        self, instance_id: str, tenant_id: str, request: base.LogRequest, *, deadline: float
    ) -> Iterator[bytes]:
        look = functools.partial(self._instances.find, instance_id)
        return logs.Output(self._api, look, request, self._settings.request_timeout).read(deadline)

    @_call
    def exec(
        self, instance_id: str, tenant_id: str, request: base.ExecRequest, *, deadline: float
    ) -> base.Terminal:
        found = self._instances.find(instance_id, deadline)
        if not found:
            raise base.NotFound("There is no such instance.")
        if found.pod is None or found.pod.observed.phase is not base.Phase.RUNNING:
            raise base.InvalidSpec("The instance does not run.")
        return terminal.open_terminal(
            self._api.sessions.get(), found.pod, request, deadline, self._settings.connect_timeout
        )

    @_call
    def nodes(self, *, deadline: float) -> Sequence[base.Node]:
        return nodes.listed(self._api, deadline)

    @_call
    def cordon(self, node: str, schedulable: bool, *, deadline: float) -> base.Node:
        return nodes.cordon(self._api, node, schedulable, deadline)

    # Letting in, and taking over

    @_call
    def issue(self, request: base.CredentialRequest, *, deadline: float) -> base.Credential:
        self._tenants.ensure(request.tenant, deadline)
        return self._accounts.issue(request, deadline)

    @_call
    def issued(self, tenant_id: str, *, deadline: float) -> Sequence[base.Credential]:
        return self._accounts.issued(tenant_id, deadline)

    @_call
    def revoke(self, tenant_id: str, credential_id: str, *, deadline: float) -> None:
        self._accounts.revoke(tenant_id, credential_id, deadline)

    @_call
    def strays(self, *, deadline: float) -> Sequence[base.Stray]:
        return adoption.strays(self._api, self._names, deadline)

    @_call
    def adopt(self, workload: base.Workload, handle: str, *, deadline: float) -> base.Observed:
        pod = adoption.adopt(self._api, self._names, workload, handle, deadline)
        self._cache.put(pod)
        return pod.observed
