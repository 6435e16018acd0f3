"""The ways into what a tenant has on a backend: commands, terminals, consoles, credentials.

Each is an event, written before the backend is asked: so nobody gets in unseen,
and an event may be of an attempt that the backend then refused. What is said of
a command is its first word; the others may be secrets.
"""

import dataclasses
import os.path
from collections.abc import Mapping, Sequence
from typing import Any

from oslo_config import cfg

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import codec, events, identity, instances, tenants
from apisvc.service import actions, context, live, placement, records, sessions, transaction, workloads
from apisvc.service import tenants as tenant_rules

Found = codec.Versioned[instances.Instance]
#: Characters that an event tells of a command.
_TOLD = 64


class Access:
    def __init__(
        self,
        transactor: transaction.Transactor,
        conf: cfg.ConfigOpts,
        loaded: Mapping[str, compute.LoadedBackend],
        calls: live.Live,
    ) -> None:
        self._transactor = transactor
        self._conf = conf.live
        self._loaded = loaded
        self._live = calls

    # Into an instance

    def open(self, ctx: context.Context, found: Found, request: compute.ExecRequest) -> sessions.Session:
        """A program begun inside the instance, to be closed.

        :raises Unsupported: its backend has no exec.
        :raises WrongState: it does not run, or the tenant is not enabled.
        :raises NotFound: it is not on the backend (any more), or has no such program.
        :raises BackendUnavailable:
        """
        told = {
            "program": os.path.basename(request.command[0])[:_TOLD],
            "arguments": len(request.command) - 1,
            "stdin": request.stdin,
            "tty": request.tty,
        }
        self._enter(ctx, found, "exec", compute.Exec, **told)
        return self._live.exec(ctx, found.value, request)

    def run(
        self,
        ctx: context.Context,
        found: Found,
        command: Sequence[str],
        stdin: bytes,
        timeout: float | None,
    ) -> sessions.Ran:
        """A command run inside the instance to its end, or for ``timeout`` seconds; raises as :meth:`open`.

        :raises InvalidRequest: that is longer than a request may wait.
        """
        longest: float = self._conf.exec_timeout
        if timeout is not None and timeout > longest:
            raise _too_long("timeout", longest)
        session = self.open(ctx, found, compute.ExecRequest(command, stdin=bool(stdin)))
        return sessions.run(session, stdin, timeout=timeout or longest, most=self._conf.exec_output)

    def console(self, ctx: context.Context, found: Found) -> compute.ConsoleAccess:
        """Where a person opens its console; raises as :meth:`open`."""
        self._enter(ctx, found, "console", compute.Console)
        return self._live.console(ctx, found.value)

    def _enter(self, ctx: context.Context, found: Found, action: str, kind: type[Any], **detail: Any) -> None:
        instance = found.value
        backend = instance.spec.backend
        actions.require(instance, self._loaded.get(backend), action)
        self._live.require(ctx, backend, kind)

        def work(txn: transaction.Transaction) -> None:
            _enabled(txn, instance.tenant_id)
            target = events.Target(kind="instance", id=instance.id, name=instance.name)
            txn.event(
                f"instance.{action}",
                target,
                tenant_id=instance.tenant_id,
                before=found.revision,
                backend=backend,
                **detail,
            )

        self._transactor.transact(ctx, work)

    # Into a backend

    def issue(
        self,
        ctx: context.Context,
        tenant: tenants.Tenant,
        backend: str,
        role: identity.Role | None,
        seconds: int | None,
    ) -> compute.Credential:
        """A credential of ``backend`` for the tenant's things there. Its content is nowhere else.

        ``role``: the caller's in the tenant; None: an admin's, who is let in as a manager.

        :raises NotFound: there is no such backend.
        :raises InvalidRequest: that is longer than a credential may live.
        :raises Unsupported: the backend issues none.
        :raises WrongState: the tenant is not enabled.
        :raises BackendUnavailable:
        """
        self._require_backend(ctx, tenant.id, backend)
        longest: int = self._conf.credential_max_lifetime
        if seconds is not None and seconds > longest:
            raise _too_long("seconds", longest)
        request = compute.CredentialRequest(
            id=self._transactor.ids.new(),
            tenant=workloads.tenant_view(tenant),
            role=(role or identity.Role.MANAGER).value,
            seconds=seconds or min(self._conf.credential_lifetime, longest),
        )
        told = {"backend": backend, "role": request.role, "seconds": request.seconds}
        self._credential_event(ctx, tenant.id, request.id, "create", **told)
        return dataclasses.replace(self._live.issue(ctx, backend, request), id=request.id)

    def issued(
        self, ctx: context.Context, tenant: tenants.Tenant, backend: str
    ) -> Sequence[compute.Credential]:
        """The tenant's credentials that are good now, without their content; raises as :meth:`issue`."""
        self._require_backend(ctx, tenant.id, backend)
        return self._live.issued(ctx, backend, tenant.id)

    def revoke(self, ctx: context.Context, tenant: tenants.Tenant, backend: str, credential: str) -> None:
        """From now on the backend refuses it; there being none of that id is fine.

        :raises NotFound: no such backend, or ``credential`` is no id.
        :raises Unsupported, BackendUnavailable:
        """
        self._require_backend(ctx, tenant.id, backend)
        if not records.is_id(credential):
            raise errors.NotFound.of("credential", credential)
        credential = credential.lower()
        self._credential_event(ctx, tenant.id, credential, "delete", backend=backend)
        self._live.revoke(ctx, backend, tenant.id, credential)

    def _require_backend(self, ctx: context.Context, tenant_id: str, backend: str) -> None:
        operator = placement.operator_records(self._transactor.store, [backend], deadline=ctx.deadline)
        word = operator[backend].value if backend in operator else None
        # APPSEC: One that is not for the tenant is to it as if it were not there.
        if backend not in self._loaded or not placement.allows(word, tenant_id):
            raise errors.NotFound.of("backend", backend)
        self._live.require(ctx, backend, compute.Credentials)

    def _credential_event(
        self, ctx: context.Context, tenant_id: str, credential: str, verb: str, **detail: Any
    ) -> None:
        def work(txn: transaction.Transaction) -> None:
            if verb == "create":
                _enabled(txn, tenant_id)
            target = events.Target(kind="credential", id=credential)
            txn.event(f"credential.{verb}", target, tenant_id=tenant_id, **detail)

        self._transactor.transact(ctx, work)


def _enabled(txn: transaction.Transaction, tenant_id: str) -> None:
    """The tenant is still enabled when the transaction commits."""
    tenant_rules.require_enabled(tenant_rules.NAMED.read(txn, tenant_id).value)


def _too_long(field: str, longest: float) -> errors.InvalidRequest:
    detail = f"At most {longest:g} seconds."
    return errors.InvalidRequest(detail, errors=(errors.FieldError(f"/{field}", detail),))
