"""Instances are found and listed: by whom, by what, and in pages."""

import msgspec

from apisvc import errors
from apisvc.model import instances
from apisvc.schemas import instances as schemas
from apisvc.service import listing
from tests.unit.service import instances_case


class ReadTest(instances_case.InstancesCase):
    def test_by_id_or_name_and_only_in_its_tenant(self):
        other = self.tenant("other")
        created = self.create(name="web")
        for ref in ("web", created.result.id, created.result.id.upper()):
            self.assertEqual(created.result, self.instances.get(self.as_ann(), self.acme.id, ref).value)
            self.assertRaises(errors.NotFound, self.instances.get, self.as_ann(), other.id, ref)
        for ref in ("nothing", "../x", "a\0", "", "x" * 600, self.services.transactor.ids.new()):
            self.assertRaises(errors.NotFound, self.instances.get, self.as_ann(), self.acme.id, ref)

    def names(self, found):
        return [item.value.name for item in found.items]

    def test_filters(self):
        self.create(name="a", labels={"tier": "front"})
        self.create(name="b", labels={"tier": "back"}, flavor="large", backend="east")
        self.create(name="c", backend="west")
        for query, wanted in (
            ({}, ["a", "b", "c"]),
            ({"name": "b"}, ["b"]),
            ({"label": ("tier",)}, ["a", "b"]),
            ({"label": ("tier=back",)}, ["b"]),
            ({"flavor": "small"}, ["a", "c"]),
            ({"flavor": self.large.id}, ["b"]),
            ({"image": "host"}, ["a", "b", "c"]),
            ({"backend": "west"}, ["c"]),
            ({"state": (instances.State.ACTIVE,)}, []),
            ({"state": (instances.State.ACTIVE, instances.State.PENDING), "name": "c"}, ["c"]),
        ):
            found = self.instances.list(
                self.as_ann(), self.acme.id, schemas.InstanceQuery(**query), self.page()
            )
            self.assertEqual(wanted, self.names(found), query)

    def test_over_all_tenants_and_ones_own(self):
        other = self.tenant("other")
        bob = self.person("bob", other)
        self.create(name="a")
        self.create(name="b", ctx=self.context(bob), tenant=other)
        self.create(name="c", ctx=self.context(bob))
        everything = schemas.InstanceQuery()
        found = self.instances.list_all(self.context(), everything, self.page(), tenant_id=None)
        self.assertEqual({"a", "b", "c"}, set(self.names(found)))
        found = self.instances.list_all(self.context(), everything, self.page(), tenant_id=other.id)
        self.assertEqual(["b"], self.names(found))
        # bob is no member of acme, so what bob made there is not shown.
        found = self.instances.list_own(self.context(bob), everything, self.page())
        self.assertEqual(["b"], self.names(found))
        scoped = msgspec.structs.replace(bob, scope_tenant_id=self.acme.id)
        self.assertEqual(
            [], self.names(self.instances.list_own(self.context(scoped), everything, self.page()))
        )

    def test_pages_over_tenants(self):
        other = self.tenant("other")
        for n in range(4):
            self.create(name=f"a{n}")
            self.create(name=f"b{n}", tenant=other)
        seen, marker = [], None
        while True:
            page = self.instances.list_all(
                self.context(), schemas.InstanceQuery(), listing.Page(3, marker), tenant_id=None
            )
            seen += self.names(page)
            marker = page.marker
            if marker is None:
                break
        self.assertEqual([f"{t}{n}" for t in "ab" for n in range(4)], seen)
