"""``/v1/tenants/{tenant}/instances``."""

from collections.abc import Sequence

from apisvc import errors
from apisvc.model import codec
from apisvc.model import instances as model
from apisvc.policies import instances as policies
from apisvc.schemas import instance_views as views
from apisvc.schemas import instances as schemas
from apisvc.schemas import plans
from apisvc.service import services, transaction
from apisvc.web import operation

RULES = policies.TENANT

_ALL = "/v1/tenants/{tenant}/instances"
_ONE = "/v1/tenants/{tenant}/instances/{instance}"
#: What every write to an instance that is there may meet.
_ERRORS = (errors.NotFound, errors.WrongState, errors.PreconditionFailed, errors.Contention)


class _Instances:
    def __init__(self, service: services.Services) -> None:
        self._instances = service.instances

    def list(self, call: operation.Call) -> operation.Answer:
        found = self._instances.list(call.context, call.tenant_id, call.query, call.page)
        shown = list(self._instances.views(call.context, found.items))
        return operation.Answer(views.InstanceList(instances=shown, next=call.next_url(found.marker)))

    def create(self, call: operation.Call) -> operation.Answer:
        asked: schemas.CreateQuery = call.query
        if asked.dry_run:
            caller = call.context.identity
            plan = self._instances.plan(call.context, call.tenant_id, call.body)
            return operation.Answer(plan.view(admin=caller is not None and caller.admin), status=200)
        return call.answer(self._instances.create(call.context, call.tenant_id, call.body))

    def show(self, call: operation.Call) -> operation.Answer:
        found = self._instances.get(call.context, call.tenant_id, call.path["instance"])
        view = self._instances.view(call.context, found)
        return operation.Answer(view, revision=found.revision, tagged=not view.status.stale)

    def update(self, call: operation.Call) -> operation.Answer:
        return self._changed(
            call,
            self._instances.update(call.context, call.tenant_id, call.path["instance"], call.body),
        )

    def act(self, call: operation.Call) -> operation.Answer:
        asked: schemas.InstanceAction = call.body
        return call.answer(
            self._instances.act(call.context, call.tenant_id, call.path["instance"], asked.action)
        )

    def delete(self, call: operation.Call) -> operation.Answer:
        return self._changed(
            call, self._instances.delete(call.context, call.tenant_id, call.path["instance"])
        )

    def accepted(self, call: operation.Call, instance: model.Instance, revision: int) -> operation.Answer:
        """What is under way: its record as it is now, and where to look on."""
        view = self._instances.view(call.context, codec.Versioned(instance, revision))
        location = f"/v1/tenants/{instance.tenant_id}/instances/{instance.id}"
        return operation.Answer(view, revision=revision, location=location)

    def _changed(self, call: operation.Call, done: transaction.Committed[model.Instance]) -> operation.Answer:
        return self.accepted(call, done.result, done.revision)


def operations(service: services.Services) -> Sequence[operation.Operation]:
    instances = _Instances(service)
    return [
        operation.Operation(
            id="list_instances",
            method="GET",
            path=_ALL,
            summary="List instances",
            tag="instances",
            handler=instances.list,
            policy="instances:list",
            query=schemas.InstanceQuery,
            answer=views.InstanceList,
        ),
        operation.Operation(
            id="create_instance",
            method="POST",
            path=_ALL,
            summary="Create an instance",
            description="The wish is recorded, within the quota of the tenant; a worker fulfils it. Follow "
            "`status.state`, or the events of the instance. Without `backend` the service chooses one; its "
            "event says why. With `dry_run=true` the answer is 200 and tells where it would be, why not "
            "elsewhere, and what the quota would be; nothing is changed, and what would fail fails the same.",
            tag="instances",
            handler=instances.create,
            render=instances.accepted,
            policy="instances:create",
            query=schemas.CreateQuery,
            body=schemas.InstanceCreate,
            answer=views.InstanceView,
            status=202,
            other_answers={200: plans.PlanView},
            errors=(
                errors.QuotaExceeded,
                errors.AlreadyExists,
                errors.WrongState,
                errors.NoBackend,
                errors.Contention,
            ),
        ),
        operation.Operation(
            id="show_instance",
            method="GET",
            path=_ONE,
            summary="Show an instance",
            tag="instances",
            handler=instances.show,
            policy="instances:show",
            answer=views.InstanceView,
            errors=(errors.NotFound,),
        ),
        operation.Operation(
            id="update_instance",
            method="PATCH",
            path=_ONE,
            summary="Change what is asked of an instance",
            description="Another flavor changes what is used of the quota by the difference. What the backend "
            "cannot change in place is made anew.",
            tag="instances",
            handler=instances.update,
            policy="instances:update",
            body=schemas.InstanceUpdate,
            answer=views.InstanceView,
            status=202,
            errors=(
                *_ERRORS,
                errors.QuotaExceeded,
                errors.AlreadyExists,
                errors.NoBackend,
                errors.Unsupported,
            ),
            conditional=True,
        ),
        operation.Operation(
            id="delete_instance",
            method="DELETE",
            path=_ONE,
            summary="Delete an instance",
            description="Possible in every state. It is there, `deleting`, until its backend says that it is gone; "
            "until then it counts for the quota.",
            tag="instances",
            handler=instances.delete,
            policy="instances:delete",
            answer=views.InstanceView,
            status=202,
            errors=(errors.NotFound, errors.PreconditionFailed, errors.Contention),
            conditional=True,
        ),
        operation.Operation(
            id="act_on_instance",
            method="POST",
            path=f"{_ONE}/actions",
            summary="Start, stop or reboot an instance",
            description="What is so already is accepted and changes nothing.",
            tag="instances",
            handler=instances.act,
            render=instances.accepted,
            policy="instances:act",
            body=schemas.InstanceAction,
            answer=views.InstanceView,
            status=202,
            errors=(*_ERRORS, errors.Unsupported),
            conditional=True,
        ),
    ]
