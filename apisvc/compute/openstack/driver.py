"""The ``openstack`` driver: instances are servers of Nova, tenants are projects of Keystone.

It keeps nothing but what the cloud shows. How things are found again is in
:mod:`names`, what Nova's states mean in :mod:`states`, what its refusals mean
in :mod:`faults`.

An image reference is the name or id of an image of the cloud.
"""

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

from oslo_config import cfg

from apisvc.compute import base
from apisvc.compute.openstack import (
    adoption,
    connections,
    credentials,
    faults,
    machines,
    names,
    networks,
    nodes,
    options,
    output,
    power,
    projects,
    removal,
    servers,
    shapes,
)

T = TypeVar("T")
Call = TypeVar("Call", bound=Callable[..., Any])

#: Of this many instances or more, all are listed at once.
_MANY = 5
#: Locks among which the instances are spread.
_LOCKS = 64


def _call(method: Call) -> Call:
    """A call of the contract: none past its deadline, and the cloud's refusals in the contract's words."""

    @functools.wraps(method)
    def call(self: "OpenStackDriver", *args: Any, deadline: float, **kwargs: Any) -> Any:
        return self.within(deadline, lambda: method(self, *args, deadline=deadline, **kwargs))

    return cast(Call, call)


class OpenStackDriver(
    base.ComputeDriver,
    base.Power,
    base.Resize,
    base.Logs,
    base.Console,
    base.Cordon,
    base.Credentials,
    base.Adopt,
):
    contract = "1.0"
    accepts = frozenset({"ssh_key", "user_data", "networks", "security_groups", "public_address", "volumes"})

    def __init__(self, backend: base.BackendContext) -> None:
        super().__init__(backend)
        conf, owner = backend.conf, backend.owner
        if problem := options.problem(conf):
            raise ValueError(problem)
        self._clouds = connections.Connections(conf)
        self._projects = projects.Projects(owner, self._clouds, conf)
        self._networks = networks.Networks(self._clouds, conf)
        self._servers = servers.Servers(owner, self._clouds, self._projects, conf)
        self._power = power.Power(self._clouds, self._servers)
        made_from = shapes.Shapes(owner, self._clouds, self._networks, conf)
        self._shapes = made_from
        self._machines = machines.Machines(
            owner, self._clouds, self._servers, made_from, self._networks, self._power, conf
        )
        self._credentials = credentials.Credentials(owner, self._clouds, self._projects, conf)
        self._removal = removal.Removal(owner, self._clouds, self._projects, self._credentials, self._servers)
        self._nodes = nodes.Nodes(self._clouds, conf)
        self._output = output.Output(self._clouds, self._servers, self.within)
        self._adoption = adoption.Adoption(owner, self._clouds, self._servers, self._projects)
        #: Where each tenant's servers are made, as far as this process has seen to it.
        self._places: dict[str, networks.Place] = {}
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return options.OPTIONS

    # The core

    @_call
    def check(self, *, deadline: float) -> base.Health:
        home = self._clouds.home()
        if not self._clouds.shared and not self._clouds.home().config.auth.get("password"):
            raise base.Unauthorized(
                f"tenancy = {options.PROJECT_PER_TENANT} takes a user name and password; these credentials "
                "are bound to one project."
            )
        newest = home.compute.get_endpoint_data().max_microversion or (2, 1)
        home.compute.get("/flavors?limit=1", raise_exc=True)
        version = ".".join(str(part) for part in newest)
        return base.Health(version=f"Nova {version}", detail=f"region {home.config.get_region_name() or '-'}")

    @_call
    def ensure_tenant(self, tenant: base.TenantView, *, deadline: float) -> None:
        self._place(tenant, fresh=True)

    @_call
    def remove_tenant(self, tenant_id: str, *, deadline: float) -> bool:
        self._places.pop(tenant_id, None)
        return self._removal.remove(tenant_id)

    @_call
    def ensure(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        self._shapes.check(workload)
        with self._alone(workload.id, deadline):
            server = self._servers.find(workload.id)
            if server is not None:
                return self._machines.converge(workload, server)
            try:
                return self._machines.create(workload, self._place(workload.tenant))
            except Exception:
                # What we thought the tenant has may be gone.
                self._places.pop(workload.tenant.id, None)
                raise

    @_call
    def observe(self, ids: Sequence[str] | None = None, *, deadline: float) -> Sequence[base.Observed]:
        if ids is not None and len(ids) < _MANY:
            found = [server for i in dict.fromkeys(ids) if (server := self._servers.find(i)) is not None]
        else:
            wanted = None if ids is None else set(ids)
            found = [
                server
                for server in self._servers.all()
                if wanted is None or server.metadata[names.INSTANCE] in wanted
            ]
        return [self._servers.observed(server) for server in found]

    @_call
    def delete(self, instance_id: str, tenant_id: str, *, deadline: float) -> bool:
        with self._alone(instance_id, deadline):
            return self._machines.delete(instance_id)

    def close(self) -> None:
        self._clouds.close()

    # Power

    @_call
    def stop(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        return self._power.stop(self._must(workload.id))

    @_call
    def start(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        return self._power.start(self._must(workload.id))

    @_call
    def reboot(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        return self._power.reboot(self._must(workload.id), workload.reboots)

    # What it shows

    def logs(
        self, instance_id: str, tenant_id: str, request: base.LogRequest, *, deadline: float
    ) -> Iterator[bytes]:
        return self._output.read(instance_id, request, deadline)

    @_call
    def console(self, instance_id: str, tenant_id: str, *, deadline: float) -> base.ConsoleAccess:
        return self._output.console(instance_id, self.backend.conf.console_types)

    # Nodes

    @_call
    def nodes(self, *, deadline: float) -> Sequence[base.Node]:
        return self._nodes.all()

    @_call
    def cordon(self, node: str, schedulable: bool, *, deadline: float) -> base.Node:
        return self._nodes.cordon(node, schedulable)

    # Credentials

    @_call
    def issue(self, request: base.CredentialRequest, *, deadline: float) -> base.Credential:
        return self._credentials.issue(request, self._place(request.tenant).project_id)

    @_call
    def issued(self, tenant_id: str, *, deadline: float) -> Sequence[base.Credential]:
        return self._credentials.issued(tenant_id)

    @_call
    def revoke(self, tenant_id: str, credential_id: str, *, deadline: float) -> None:
        self._credentials.revoke(tenant_id, credential_id)

    # Adopt

    @_call
    def strays(self, *, deadline: float) -> Sequence[base.Stray]:
        return self._adoption.strays()

    @_call
    def adopt(self, workload: base.Workload, handle: str, *, deadline: float) -> base.Observed:
        return self._adoption.adopt(workload, handle)

    # Within a call

    def within(self, deadline: float, do: Callable[[], T]) -> T:
        """``do()`` by the rules of the contract. Refused credentials are read and tried once more."""
        for last in (False, True):
            if time.monotonic() >= deadline:
                raise base.Timeout
            try:
                with self._clouds.until(deadline):
                    return do()
            except base.DriverError:
                raise
            except Exception as error:
                found = faults.translated(error)
                if found is None:
                    raise
                if faults.login_helps(error):
                    self._clouds.forget()
                if last or not isinstance(found, base.Unauthorized):
                    raise found from error
        raise AssertionError("unreachable")

    def _place(self, tenant: base.TenantView, *, fresh: bool = False) -> networks.Place:
        """Where the tenant's servers are made; made or converged unless that was done before."""
        found = None if fresh else self._places.get(tenant.id)
        if found is None:
            project_id = self._projects.ensure(tenant)
            found = self._networks.ensure(project_id, names.scope(self.backend.owner, tenant.id))
            self._places[tenant.id] = found
        return found

    def _must(self, instance_id: str) -> Any:
        if (server := self._servers.find(instance_id)) is None:
            raise base.NotFound("There is no such instance.")
        return server

    @contextlib.contextmanager
    def _alone(self, instance_id: str, deadline: float) -> Iterator[None]:
        """Only one thread of this process at an instance; others are handled by looking again."""
        lock = self._locks[hash(instance_id) % _LOCKS]
        if not lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise base.InProgress("Another call for it goes on.")
        try:
            yield
        finally:
            lock.release()
