"""A small app on the memory store: things, made and read, in tenants and outside."""

import types
from typing import Annotated, Any

import fixtures
import msgspec
import testtools
from cryptography import fernet
from falcon import testing
from oslo_policy import policy

from apisvc import app, conf, errors
from apisvc.auth import base as auth
from apisvc.model import codec, events, identity, keys, tenants
from apisvc.schemas import base as schemas
from apisvc.service import backends, context, secrets, transaction
from apisvc.service import tenants as tenants_service
from apisvc.storage import base, memory
from apisvc.web import operation

TENANT = "0198c5a2-0000-7000-8000-000000000001"
FOREIGN = "0198c5a2-0000-7000-8000-000000000002"
ANN = "0198c5a2-0000-7000-8000-00000000000a"


class Inner(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    numbers: list[int] = []
    env: dict[str, str] = {}


class ThingCreate(schemas.Body, frozen=True, kw_only=True):
    name: schemas.Name
    spec: Inner | None = None
    labels: schemas.Labels = {}
    size: Annotated[int, msgspec.Meta(ge=0)] = 0
    ratio: float = 0.0
    anything: dict[str, Any] = {}


class ThingQuery(schemas.ListQuery, frozen=True, kw_only=True):
    label: tuple[schemas.LabelFilter, ...] = ()
    deep: bool | None = None


class Thing(schemas.View, frozen=True, kw_only=True):
    id: str
    name: str
    revision: int


class ThingList(schemas.View, frozen=True, kw_only=True):
    things: list[Thing]
    next: str | None


class Things(operation.Routes):
    contract = operation.CONTRACT

    def operations(self):
        common = {"tag": "things", "summary": "Things"}
        place = "/v1/tenants/{tenant}/things"
        return [
            operation.Operation(
                id="create_thing",
                method="POST",
                path=place,
                handler=self._create,
                policy="things:create",
                body=ThingCreate,
                answer=Thing,
                status=202,
                render=self._render,
                errors=(errors.AlreadyExists,),
                **common,
            ),
            operation.Operation(
                id="list_things",
                method="GET",
                path=place,
                handler=self._list,
                policy="things:list",
                query=ThingQuery,
                answer=ThingList,
                **common,
            ),
            operation.Operation(
                id="show_thing",
                method="GET",
                path=place + "/{thing}",
                handler=lambda call: operation.Answer(
                    body=Thing(id=call.path["thing"], name="x", revision=7), revision=7
                ),
                policy="things:show",
                answer=Thing,
                **common,
            ),
            operation.Operation(
                id="delete_thing",
                method="DELETE",
                path=place + "/{thing}",
                handler=self._delete,
                policy="things:delete",
                conditional=True,
                status=204,
                **common,
            ),
            operation.Operation(
                id="fail",
                method="POST",
                path="/v1/admin/fail",
                handler=self._fail,
                policy="admin:fail",
                **common,
            ),
            operation.Operation(
                id="stream_things",
                method="GET",
                path="/v1/stream",
                handler=lambda call: operation.Answer(
                    stream=iter([b"a", b"", b"b"]), content_type="text/plain"
                ),
                policy="things:stream",
                streams=("text/plain",),
                **common,
            ),
        ]

    @classmethod
    def policies(cls):
        at = [{"method": "GET", "path": "/"}]
        return [
            policy.DocumentedRuleDefault("things:create", "rule:member_or_admin", "Create.", at),
            policy.DocumentedRuleDefault("things:list", "rule:reader_or_admin", "List.", at),
            policy.DocumentedRuleDefault("things:show", "rule:reader_or_admin", "Show.", at),
            policy.DocumentedRuleDefault("things:delete", "rule:member_or_admin", "Delete.", at),
            policy.DocumentedRuleDefault("things:stream", "rule:authenticated", "Stream.", at),
            policy.DocumentedRuleDefault("admin:fail", "rule:admin_required", "Fail.", at),
        ]

    def _create(self, call):
        def work(txn):
            key = keys.join("things/", call.body.name)
            if txn.read(key, str) is not None:
                raise errors.AlreadyExists(f"{call.body.name} is there.")
            txn.put(key, call.body.name)
            txn.event("thing.create", events.Target(kind="thing", id=call.body.name))
            return call.body.name

        return call.answer(self.services.transactor.transact(call.context, work))

    def _render(self, call, name, revision):
        return operation.Answer(
            body=Thing(id=name, name=name, revision=revision), location=f"{call.request.path}/{name}"
        )

    def _list(self, call):
        page = call.page
        things = [Thing(id=str(n), name=str(n), revision=n) for n in range(min(page.limit, 3))]
        return operation.Answer(
            body=ThingList(things=things, next=call.next_url(TENANT if page.marker is None else None))
        )

    def _delete(self, call):
        if call.context.if_match not in (None, 7):
            raise errors.PreconditionFailed()
        return operation.Answer()

    def _fail(self, call):
        raise RuntimeError("secret inner workings")


class Callers(auth.AuthDriver):
    """Tokens are the names of roles; all are good for one user, whose role is that."""

    contract = auth.CONTRACT

    def __init__(self, conf, store):
        super().__init__(conf, store)
        self.revoked = set()

    def authenticate(self, headers, *, deadline):
        token = headers.get("X-AUTH-TOKEN") or headers.get("AUTHORIZATION", "").removeprefix("Bearer ")
        if not token:
            return None
        if token == "down":
            raise errors.AuthUnavailable()
        if token == "scoped-admin":
            return identity.Identity(user_id=ANN, user_name="ann", admin=True, scope_tenant_id=TENANT)
        if token in self.revoked or token not in ("admin", "manager", "member", "reader", "nobody"):
            raise errors.Unauthenticated("The token is not, or no longer, good.")
        roles = {TENANT: identity.Role(token)} if token in list(identity.Role) else {}
        return identity.Identity(user_id=ANN, user_name="ann", admin=token == "admin", roles=roles)


class WebCase(testtools.TestCase):
    """Has ``self.client``; ``self.call(method, path, ...)`` is by a member unless told otherwise."""

    options = {}
    packages = (Things,)

    def setUp(self):
        super().setUp()
        self.logs = self.useFixture(fixtures.FakeLogger())
        self.conf = conf.new()
        self.conf([], default_config_files=[], default_config_dirs=[])
        for name, value in self.options.items():
            self.conf.set_override(name, value, group="api")
        self.store = self.make_store()
        box = secrets.SecretBox([fernet.Fernet.generate_key()])
        transactor = transaction.Transactor(self.store, box, context.Clock(), context.Ids())
        self.services = types.SimpleNamespace(
            conf=self.conf,
            store=self.store,
            transactor=transactor,
            tenants=tenants_service.Tenants(transactor, self.conf),
            backends=backends.Backends(transactor, {}),
        )
        for tenant_id, name in ((TENANT, "own"), (FOREIGN, "foreign")):
            self.put_tenant(tenant_id, name)
        self.app = self.make_app()
        self.client = testing.TestClient(self.app)

    def make_store(self):
        return memory.MemoryStore()

    def make_app(self):
        routes = [package(self.services) for package in self.packages]
        self.callers = Callers(None, self.store)
        return app.create_app(self.conf, self.services, [self.callers], routes)

    def put_tenant(self, tenant_id, name):
        tenant = tenants.Tenant(
            id=tenant_id, name=name, quota=tenants.Amounts(), created_at=0.0, updated_at=0.0
        )
        self.put(keys.join(keys.TENANTS, tenant_id), tenant)
        self.put(keys.join(keys.TENANT_NAMES, name), tenant_id)

    def put(self, key, record):
        return self.store.commit([], [base.Put(key, codec.encode(record))])

    def call(self, method, path, token="member", headers=None, **kw):
        sent = {"X-Auth-Token": token} if token else {}
        return self.client.simulate_request(method, path, headers={**sent, **(headers or {})}, **kw)

    def problem(self, response, status, code=None, pointer=None):
        """Check that it is a problem document, and return it."""
        self.assertEqual(status, response.status_code, response.text)
        self.assertEqual("application/problem+json", response.headers["content-type"])
        found = response.json
        self.assertEqual(status, found["status"])
        self.assertEqual(response.headers["x-openstack-request-id"], found["request_id"])
        self.assertTrue(found["title"] and found["detail"])
        if code is not None:
            self.assertEqual(code, found["code"])
        if pointer is not None:
            self.assertIn(pointer, [one["pointer"] for one in found["errors"]])
        return found
