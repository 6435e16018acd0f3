"""All of the API over a memory store, with callers who log in by real tokens."""

import threading

from falcon import testing

from apisvc import app
from apisvc.model import codec, events, identity, keys
from apisvc.routes.v1 import admin, tenant, user
from apisvc.service import tokens
from apisvc.storage import base as storage
from tests.unit.service import accounts

MANAGER, MEMBER, READER = identity.Role.MANAGER, identity.Role.MEMBER, identity.Role.READER


class RoutesCase(accounts.AccountsCase):
    """The tenants ``blue`` and ``red``; ``mia``, ``max`` and ``ria`` with a role each in blue; ``rob`` in red."""

    def setUp(self):
        super().setUp()
        self._within = threading.local()
        self._commit, self.store.commit = self.store.commit, self._audited
        self.restart()
        self.blue, self.red = self.tenant("blue"), self.tenant("red")
        self.users, self.texts = {}, {}
        self.add("root", admin=True)
        for name, place, role in (
            ("mia", self.blue, MANAGER),
            ("max", self.blue, MEMBER),
            ("ria", self.blue, READER),
            ("rob", self.red, MANAGER),
        ):
            self.add(name)
            self.member(place, self.users[name], role)
        self.add("out")

    def restart(self):
        """The app anew, with the options as they are now."""
        packages = [package.Routes(self.services) for package in (admin, tenant, user)]
        self.app = app.create_app(self.conf, self.services, [self.auth], packages)
        self.client = testing.TestClient(self.app)

    def _audited(self, guards, writes, **kw):
        """Commit, and for a request only if events tell of it: who, what, to what, in which request."""
        if writes and getattr(self._within, "request", False):
            puts = [w for w in writes if isinstance(w, storage.Put) and w.key.startswith(keys.EVENTS)]
            told = [codec.decode(put.value, events.Event) for put in puts]
            assert told, f"no event tells of these writes: {writes}"
            for event in told:
                assert event.actor.kind == "user" and event.actor.id and event.target.id, event
                assert event.request_id, event
                # Of a backend there is no record until somebody sets its state; of nodes and credentials never.
                unrecorded = ("backend", "credential", "node")
                new = event.action.endswith(".create") or event.target.kind in unrecorded
                assert event.before is not None or new, event
        return self._commit(guards, writes, **kw)

    def add(self, name, **fields):
        """A user ``name`` with a token, by which ``call(..., by=name)`` acts."""
        self.users[name] = made = self.user(name, **fields)
        self.login_as(name, made, tokens.Grant(admin=made.admin))

    def login_as(self, label, owner, grant):
        """A token of ``owner``, by which ``call(..., by=label)`` acts."""
        made = self.services.tokens.create(self.context(), owner.id, grant).result
        self.texts[label] = made.text
        return made.token

    def call(self, method, path, by="root", body=None, **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if by is not None:
            sent["X-Auth-Token"] = self.texts[by]
        self._within.request = True
        try:
            return self.client.simulate_request(method, f"/v1{path}", headers=sent, json=body)
        finally:
            self._within.request = False

    def ok(self, method, path, status=200, **kw):
        """The body of an answer that has this status."""
        answer = self.call(method, path, **kw)
        self.assertEqual(status, answer.status_code, answer.text)
        return answer.json if answer.content else None

    def refused(self, status, method, path, code=None, pointer=None, **kw):
        """The problem that the answer is; nothing was written."""
        before = self.raw()
        answer = self.call(method, path, **kw)
        self.assertEqual(status, answer.status_code, answer.text)
        self.assertEqual("application/problem+json", answer.headers["content-type"])
        if code is not None:
            self.assertEqual(code, answer.json["code"])
        if pointer is not None:
            self.assertIn(pointer, [error["pointer"] for error in answer.json["errors"]])
        self.assertEqual(before, self.raw())
        return answer.json
