"""How an instance comes to be: one transaction, which is run for a create and rehearsed for a dry run."""

from collections.abc import Callable

import msgspec

from apisvc.model import instances, keys, tenants
from apisvc.schemas import instance_views, plans, quotas
from apisvc.schemas import instances as schema
from apisvc.service import (
    context,
    instance_records,
    ledgers,
    placement,
    resolution,
    secrets,
    transaction,
    workloads,
)


class Plan(msgspec.Struct, frozen=True):
    """A new instance, why it is where it is, and what the tenant uses before and after."""

    instance: instances.Instance
    decision: placement.Decision
    tenant: tenants.Tenant
    before: tenants.Amounts
    after: tenants.Amounts
    #: The store's, at or after which everything was read.
    revision: int = 0

    def view(self, *, admin: bool) -> plans.PlanView:
        """As the caller sees it. APPSEC: what other tenants have on a backend is for admins."""
        return plans.PlanView(
            backend=self.decision.backend.name,
            spec=instance_views.spec_view(self.instance.spec),
            ranked=[
                plans.RankedView(
                    backend=one.backend,
                    score=one.score,
                    weight=one.weight,
                    own=one.own,
                    instances=one.instances if admin else None,
                    free=one.free if admin else None,
                )
                for one in self.decision.ranked
            ],
            rejected=[plans.RejectedView(**one) for one in self.decision.rejected],
            quota=plans.QuotaPlanView(
                limits=quotas.limits(self.tenant.quota),
                before=quotas.Amounts(**self.before.as_dict()),
                after=quotas.Amounts(**self.after.as_dict()),
            ),
            revision=self.revision,
        )


class Creation:
    """Makes instances."""

    def __init__(self, resolver: resolution.Resolver, box: secrets.SecretBox) -> None:
        self._resolver = resolver
        self._secrets = box

    def making(
        self, ctx: context.Context, tenant_id: str, body: schema.InstanceCreate
    ) -> Callable[[transaction.Transaction], Plan]:
        """The work of the transaction that makes an instance.

        Both raise what :meth:`apisvc.service.instances.Instances.create` says.
        """
        box = self._secrets
        secret_env = {name: workloads.seal(value, box) for name, value in body.secret_env.items()}
        user_data = workloads.seal(body.user_data, box) if body.user_data else ""
        # PERF: once, however often others are quicker at the ledger; and not while others wait for this one.
        resolved = self._resolver.resolve(body, secret_env, user_data, deadline=ctx.deadline)

        def work(txn: transaction.Transaction) -> Plan:
            tenant = instance_records.enabled_tenant(txn, tenant_id)
            before = ledgers.read(txn, tenant.id)
            spec, decision = resolved.place(tenant.id, before.on)
            instance_id = txn.ids.new()
            instance = instances.Instance(
                id=instance_id,
                tenant_id=tenant.id,
                name=body.name or f"instance-{instance_id[-12:]}",
                description=body.description,
                labels=body.labels,
                spec=spec,
                created_at=txn.now,
                updated_at=txn.now,
                created_by=ctx.actor.id,
            )
            instance_records.named(tenant.id).take_name(txn, instance.name, instance.id)
            after = ledgers.charge(txn, tenant, before, spec.amounts, spec.backend)
            txn.put(keys.join(keys.INSTANCES, tenant.id, instance.id), instance)
            txn.put(keys.join(keys.INSTANCE_TENANTS, instance.id), tenant.id)
            instance_records.event(
                txn,
                "create",
                instance,
                backend=spec.backend,
                image=spec.image,
                flavor=spec.flavor,
                power=spec.power.value,
                amounts=spec.amounts.as_dict(),
                used=after.used.as_dict(),
                placement=decision.detail(),
            )
            return Plan(instance, decision, tenant, before.used, after.used)

        return work
