"""A store moved to another: all of it, or nothing that could be taken for it."""

import unittest

from apisvc import errors
from apisvc.model import backends, codec, keys
from apisvc.service import layout, migration
from apisvc.storage import base, memory


class Forgetful(memory.MemoryStore):
    """Writes something else than it was told."""

    def commit(self, guards, writes, *, deadline=None):
        changed = [base.Put(w.key, w.value.replace(b"7", b"8")) for w in writes]
        return super().commit(guards, changed, deadline=deadline)


class TestMigration(unittest.TestCase):
    def setUp(self):
        self.source, self.target = memory.MemoryStore(), memory.MemoryStore()
        layout.ensure(self.source)
        for number in range(300):
            self.source.commit([], [base.Put(f"odds/{number:03}", str(number).encode())])
        self.source.commit(
            [], [base.Put("odds/large", b"\x00" * base.MAX_VALUE), base.Put("odds/empty", b"")]
        )
        self.source.commit([], [base.Delete("odds/001")])
        self.lease = self.source.lease(60)
        self.source.commit([], [base.Put(keys.join(keys.CLAIMS, "i"), b"{}", self.lease.id)])

    def worker(self):
        worker = backends.Worker(id="w", host="here", pid=42, started_at=1.0, backends=())
        self.source.commit([], [base.Put(keys.join(keys.WORKERS, "w"), codec.encode(worker), self.lease.id)])

    def content(self, store):
        records = store.scan("", limit=2000).records
        return {record.key: record.value for record in records if record.lease is None}

    def refused(self, **options):
        with self.assertRaises(errors.Conflict) as caught:
            migration.migrate(self.source, self.target, **options)
        return caught.exception.detail

    def test_all_but_what_is_leased(self):
        said = []
        done = migration.migrate(self.source, self.target, progress=lambda *counts: said.append(counts))
        self.assertEqual(self.content(self.source), self.content(self.target))
        self.assertEqual((301, False), (done.records, done.outdated))
        self.assertEqual((301 + 1, 301 + 1), (len(self.content(self.target)), len(said)))

    def test_there_and_back(self):
        there = migration.migrate(self.source, self.target)
        again = memory.MemoryStore()
        self.assertEqual(there, migration.migrate(self.target, again))
        self.assertEqual(self.content(self.source), self.content(again))

    def test_an_empty_source(self):
        self.source = memory.MemoryStore()
        self.assertIn("nothing to migrate", self.refused())

    def test_a_newer_source(self):
        self.source.commit([], [base.Put(keys.SCHEMA, b"99")])
        with self.assertRaisesRegex(errors.StartError, "newer release"):
            migration.migrate(self.source, self.target)

    def test_a_target_with_something_in_it(self):
        self.target.commit([], [base.Put("x", b"")])
        self.assertIn("The target is not empty", self.refused())
        self.assertEqual({"x": b""}, self.content(self.target))

    def test_live_workers(self):
        self.worker()
        self.assertIn("Workers are alive (1, one of them on here, pid 42).", self.refused())
        self.assertEqual({}, self.content(self.target))
        self.assertFalse(migration.migrate(self.source, self.target, force=True).outdated)

    def test_a_copy_that_is_not_the_same_is_not_marked_as_whole(self):
        self.target = Forgetful()
        self.assertIn("The copy is not the same: 301 records with SHA-256 ", self.refused())
        with self.assertRaisesRegex(errors.StartError, "no layout version"):
            layout.look(self.target)

    def write_meanwhile(self, done, total):
        if done == 10:
            self.source.commit([], [base.Put("odds/005", b"new"), base.Put("odds/late", b"")])

    def test_a_source_that_is_written_to_meanwhile(self):
        self.assertIn("The source was written to", self.refused(progress=self.write_meanwhile))
        with self.assertRaisesRegex(errors.StartError, "no layout version"):
            layout.look(self.target)

    def test_a_source_that_is_written_to_meanwhile_by_force(self):
        before = self.content(self.source)
        done = migration.migrate(self.source, self.target, force=True, progress=self.write_meanwhile)
        self.assertTrue(done.outdated)
        self.assertEqual(before, self.content(self.target))
        self.assertEqual(1, layout.look(self.target))

    def test_leases_that_come_and_go_meanwhile_change_nothing(self):
        done = migration.migrate(
            self.source, self.target, progress=lambda done, total: self.lease.revoke() if done == 5 else None
        )
        self.assertFalse(done.outdated)
