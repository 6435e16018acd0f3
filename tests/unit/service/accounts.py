"""A service layer on a memory store, with a clock and ids of the test's own."""

import time

import msgspec
import testtools
from cryptography import fernet

from apisvc import conf as configuration
from apisvc.auth import token as token_auth
from apisvc.model import codec, events, identity, keys
from apisvc.service import context, listing, secrets, services
from apisvc.storage import memory


class Clock(context.Clock):
    def __init__(self):
        self.at = 1_800_000_000.0

    def now(self):
        return self.at


class Ids(context.Ids):
    def __init__(self):
        self._last = 0

    def new(self):
        self._last += 1
        return f"00000000-0000-7000-8000-{self._last:012x}"


class AccountsCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.conf = configuration.new()
        self.conf([], default_config_files=[], default_config_dirs=[])
        self.store = memory.MemoryStore()
        self.clock = Clock()
        box = secrets.SecretBox([fernet.Fernet.generate_key()])
        self.services = services.build(self.conf, self.store, box, {}, self.clock, Ids())
        self.auth = token_auth.TokenAuth(self.conf.token, self.store, clock=self.clock.now)
        self.auth.uses.delay = 3600.0  # nothing is written behind a test's back
        self.addCleanup(self.auth.uses.stop)

    def context(self, caller=None, **kw):
        """Of the system, or of ``caller``, an Identity."""
        ctx = context.system(10.0)
        if caller is not None:
            actor = events.Actor(kind="user", id=caller.user_id, name=caller.user_name)
            kw.update(actor=actor, identity=caller)
        return msgspec.structs.replace(ctx, **kw)

    # Making things

    def tenant(self, name="blue", **kw):
        return self.services.tenants.create(self.context(), name=name, **kw).result

    def user(self, name="ann", **kw):
        return self.services.users.create(self.context(), name=name, **kw).result

    def member(self, tenant, user, role=identity.Role.MEMBER):
        return self.services.members.put(self.context(), tenant.id, user.id, role).result

    def login(self, text):
        """The Identity that a token's text gives, or Unauthenticated."""
        return self.auth.authenticate({"X-AUTH-TOKEN": text}, deadline=time.monotonic() + 10)

    def meanwhile(self, what):
        """Have ``what`` done right before the next commit, as another process would."""
        commit = self.store.commit

        def once(*args, **kw):
            self.store.commit = commit
            what()
            return commit(*args, **kw)

        self.store.commit = once

    # Looking

    @staticmethod
    def page(limit=100, marker=None):
        return listing.Page(limit, marker)

    def raw(self):
        """Everything stored, by key."""
        return {record.key: record.value for record in self.store.scan("", limit=100_000).records}

    def keys(self, but=(keys.EVENTS,)):
        return {key for key in self.raw() if not key.startswith(tuple(but))}

    def events(self):
        raw = self.store.scan(keys.EVENTS, limit=100_000).records
        found = [codec.decode(record.value, events.Event) for record in raw]
        return sorted(found, key=lambda event: event.id)

    def actions(self):
        return [event.action for event in self.events()]
