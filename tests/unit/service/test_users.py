from apisvc import errors
from apisvc.model import identity, keys
from apisvc.service import tokens
from apisvc.storage import base as storage
from tests.unit.service import accounts


class UsersTest(accounts.AccountsCase):
    def setUp(self):
        super().setUp()
        self.users = self.services.users
        self.root = self.user("root", admin=True)

    def test_made_found_renamed(self):
        made = self.users.create(self.context(), name="ann", email="ann@example.org")
        self.assertEqual(made.result, self.users.get(self.context(), "ann").value)
        self.assertRaises(errors.AlreadyExists, self.users.create, self.context(), name="ann")
        self.users.update(self.context(), "ann", {"name": "anna"})
        self.assertEqual(made.result.id, self.users.get(self.context(), "anna").value.id)
        self.assertRaises(errors.NotFound, self.users.get, self.context(), "ann")

    def test_lists_filter(self):
        self.user("ann")
        self.user("bob", enabled=False)

        def names(**kw):
            return [item.value.name for item in self.users.list(self.context(), self.page(), **kw).items]

        self.assertEqual(["root", "ann", "bob"], names())
        self.assertEqual(["root"], names(admin=True))
        self.assertEqual(["bob"], names(enabled=False))
        self.assertEqual(["ann"], names(name="ann", enabled=True))

    def test_a_stale_revision_changes_nothing(self):
        revision = self.users.get(self.context(), "root").revision
        self.user("ann", admin=True)
        stale = self.context(if_match=revision + 1)
        before = self.raw()
        self.assertRaises(errors.PreconditionFailed, self.users.update, stale, "root", {"email": ""})
        self.assertRaises(errors.PreconditionFailed, self.users.delete, stale, "root")
        self.assertEqual(before, self.raw())

    def test_the_last_enabled_admin_stays(self):
        self.user("off", admin=True, enabled=False)
        before = self.raw()
        for fields in ({"admin": False}, {"enabled": False}):
            self.assertRaises(errors.Conflict, self.users.update, self.context(), "root", fields)
        self.assertRaises(errors.Conflict, self.users.delete, self.context(), "root")
        self.assertEqual(before, self.raw())
        self.users.update(self.context(), "off", {"enabled": True})
        self.users.delete(self.context(), "root")
        self.assertRaises(errors.Conflict, self.users.update, self.context(), "off", {"admin": False})

    def test_of_two_admins_who_dethrone_each_other_one_stays(self):
        self.user("other", admin=True)
        self.meanwhile(lambda: self.users.update(self.context(), "root", {"admin": False}))
        self.assertRaises(errors.Conflict, self.users.update, self.context(), "other", {"admin": False})
        self.assertTrue(self.users.get(self.context(), "other").value.admin)

    def test_a_deleted_user_leaves_nothing(self):
        tenant = self.tenant()
        before = self.keys()
        ann = self.user("ann")
        for n in range(20):
            self.member(self.tenant(f"t{n}"), ann)
        before |= {key for key in self.keys() if key.startswith(("tenant", "ledgers/"))}
        self.member(tenant, ann)
        made = [
            self.services.tokens.create(self.context(), ann.id, tokens.Grant(tenant=name)).result
            for name in ("blue", None) * 25
        ]
        self.users.delete(self.context(), "ann")
        self.assertEqual(before, self.keys())
        self.assertRaises(errors.Unauthenticated, self.login, made[0].text)
        self.assertEqual(50, self.actions().count("token.delete"))
        self.assertEqual(21, self.actions().count("member.delete"))
        self.assertEqual("user.delete", self.actions()[-1])
        self.user("ann")

    def test_while_being_deleted_a_user_can_do_nothing_and_gets_nothing(self):
        ann = self.user("ann")
        text = self.services.tokens.create(self.context(), ann.id, tokens.Grant()).result.text
        tenant = self.tenant()
        commit, seen = self.store.commit, []

        def watched(*args, **kw):
            revision = commit(*args, **kw)
            if not seen:
                seen.append(True)
                self.assertRaises(errors.Unauthenticated, self.login, text)
                self.assertRaises(errors.WrongState, self.member, tenant, ann)
                create = self.services.tokens.create
                self.assertRaises(errors.WrongState, create, self.context(), ann.id, tokens.Grant())
            return revision

        self.store.commit = watched
        self.users.delete(self.context(), "ann")
        self.assertEqual([True], seen)

    def test_a_deletion_cut_short_is_completed_by_the_next(self):
        ann = self.user("ann")
        for n in range(20):
            self.member(self.tenant(f"t{n}"), ann)
        commit, done = self.store.commit, []

        def failing(*args, **kw):
            if len(done) == 2:
                raise errors.StoreUnavailable()
            done.append(args)
            return commit(*args, **kw)

        self.store.commit = failing
        self.assertRaises(errors.StoreUnavailable, self.users.delete, self.context(), "ann")
        self.store.commit = commit
        self.assertFalse(self.users.get(self.context(), "ann").value.enabled)
        self.users.delete(self.context(), "ann")
        self.assertEqual([], [key for key in self.keys() if ann.id in key])

    def test_one_enabled_again_meanwhile_is_not_deleted(self):
        ann = self.user("ann")
        commit, seen = self.store.commit, []

        def meddling(*args, **kw):
            revision = commit(*args, **kw)
            if not seen:
                seen.append(True)
                self.users.update(self.context(), ann.id, {"enabled": True})
            return revision

        self.store.commit = meddling
        self.assertRaises(errors.Conflict, self.users.delete, self.context(), "ann")
        self.assertTrue(self.users.get(self.context(), "ann").value.enabled)


class EventsTest(accounts.AccountsCase):
    """Whatever writes tells of it, in the same commit."""

    def test_every_commit_has_an_event_that_names_the_caller(self):
        commits = []
        commit = self.store.commit

        def watched(guards, writes, **kw):
            commits.append(writes)
            return commit(guards, writes, **kw)

        self.store.commit = watched
        caller = identity.Identity(user_id="root", user_name="root", admin=True)
        ctx = self.context(caller, request_id="req-1")
        of = self.services
        blue = of.tenants.create(ctx, name="blue").result
        ann = of.users.create(ctx, name="ann").result
        of.users.create(ctx, name="bob", admin=True)
        of.users.update(ctx, "ann", {"admin": True})
        of.members.put(ctx, blue.id, "ann", identity.Role.READER)
        of.members.put(ctx, blue.id, "ann", identity.Role.MEMBER)
        of.members.update(ctx, blue.id, "ann", identity.Role.MANAGER)
        token = of.tokens.create(ctx, ann.id, tokens.Grant(tenant="blue")).result.token
        of.tokens.delete(ctx, ann.id, token.id)
        of.members.delete(ctx, blue.id, "ann")
        of.quotas.update(ctx, "blue", {"vcpus": 1})
        of.tenants.update(ctx, "blue", {"labels": {"a": "b"}})
        of.users.delete(ctx, "ann")
        of.tenants.delete(ctx, "blue")
        of.tenants.finish_removal(ctx, blue.id)
        self.assertEqual(16, len(commits))
        for writes in commits:
            told = [w for w in writes if isinstance(w, storage.Put) and w.key.startswith(keys.EVENTS)]
            self.assertNotEqual([], told, writes)
            self.assertLessEqual(len(writes), storage.MAX_OPS)
        for event in self.events():
            self.assertEqual(("root", "req-1"), (event.actor.id, event.request_id))
        of_blue = [event for event in self.events() if event.tenant_id == blue.id]
        self.assertEqual(11, len(of_blue))
        self.assertIn("quota.update", [event.action for event in of_blue])
