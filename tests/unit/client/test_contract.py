"""The client and the service's own table of operations say the same."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from apisvc import client
from apisvc.client import resources
from apisvc.routes.v1 import admin, tenant, user
from apisvc.web import operation
from tests.unit.service import accounts


class Recorder(client.Client):
    """Sends nothing; notes what it would have sent, and the key of the list it would have read."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.sent: list[tuple[str, str, dict[str, Any], dict[str, Any], str | None]] = []

    def call(self, method: str, path: str, **options: Any) -> Any:
        self.sent.append((method, path, options.get("query") or {}, options.get("body") or {}, None))
        return {}

    def pages(self, path: str, key: str, query: Any = None) -> Iterator[Any]:
        self.sent.append(("GET", path, query or {}, {}, key))
        return iter(())

    def follow(self, path: str, after: int | None = None, **filters: Any) -> Iterator[Any]:
        self.sent.append(("GET", path, {"follow": True, "after": after}, {}, None))
        return iter(())

    def connect(self, path: str, query: Any) -> Any:
        self.sent.append(("GET", path, query, {}, None))

    def text(self, path: str, query: Any = None, idle: float | None = None) -> Iterator[bytes]:
        self.sent.append(("GET", path, query or {}, {}, None))
        return iter(())


#: What an admin has in the same way under ``/v1/tenants/{tenant}`` and a user under ``/v1/user``.
ELSEWHERE = {
    "admin_delete_member",
    "admin_list_members",
    "admin_put_member",
    "admin_show_member",
    "admin_show_quota",
    "admin_update_member",
    "list_tenants",
}


class ContractTest(accounts.AccountsCase):
    def setUp(self) -> None:
        super().setUp()
        packages = [package.Routes(self.services) for package in (admin, tenant, user)]
        self.operations = [op for package in packages for op in package.operations()]
        self.recorder = Recorder()
        self.addCleanup(self.recorder.close)
        for group in vars(self.recorder).values():
            if isinstance(group, resources.Resource):
                self._use(group)

    def _use(self, group: resources.Resource) -> None:
        """Call every method of the group, with and without what is optional."""
        for _, method in inspect.getmembers(group, inspect.ismethod):
            if method.__name__.startswith("_"):
                continue
            needed, optional = [], []
            for parameter in inspect.signature(method).parameters.values():
                if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                    needed.append("x")
                elif parameter.name in ("tenant", "user"):
                    optional.append(parameter.name)
            method(*needed)
            if optional:
                method(*needed, **dict.fromkeys(optional, "x"))

    def _operation(self, method: str, path: str) -> operation.Operation | None:
        for op in self.operations:
            pattern = re.sub(r"\{\w+\}", "x", op.path)
            if op.method == method and pattern == path:
                return op
        return None

    def test_the_service_has_every_call_of_the_client(self) -> None:
        for method, path, query, body, key in self.recorder.sent:
            with self.subTest(f"{method} {path}"):
                op = self._operation(method, path)
                assert op is not None, "no such operation"
                self.assertLessEqual(set(body), _fields(op.body))
                self.assertLessEqual(set(query), _fields(op.query))
                if key is not None:
                    self.assertLessEqual({key, "next"}, _fields(op.answer))

    def test_the_client_has_every_operation_of_the_service(self) -> None:
        reached = {op.id for sent in self.recorder.sent if (op := self._operation(*sent[:2]))}
        self.assertEqual(ELSEWHERE, {op.id for op in self.operations} - reached)


def _fields(shape: type | None) -> set[str]:
    return {field.name for field in msgspec.structs.fields(shape)} if shape else set()
