"""The layout mark of a store: made once, and never a newer one taken for ours."""

import testtools

from apisvc import errors
from apisvc.model import keys
from apisvc.service import layout
from apisvc.storage import base as storage
from apisvc.storage import memory


class TestLayout(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.store = memory.MemoryStore()

    def test_a_new_store_is_marked_once(self) -> None:
        self.assertIsNone(layout.version(self.store))
        layout.ensure(self.store)
        revision = self.store.revision()
        layout.ensure(self.store)
        self.assertEqual(keys.SCHEMA_VERSION, layout.version(self.store))
        self.assertEqual(revision, self.store.revision())

    def test_newer_data(self) -> None:
        self.store.commit([], [storage.Put(keys.SCHEMA, b"%d" % (keys.SCHEMA_VERSION + 1))])
        error = self.assertRaises(errors.StartError, layout.ensure, self.store)
        self.assertIn("made by a newer release", str(error))

    def test_records_without_a_mark(self) -> None:
        self.store.commit([], [storage.Put("users/1", b"{}")])
        error = self.assertRaises(errors.StartError, layout.ensure, self.store)
        self.assertIn("a restore into it did not finish", str(error))

    def test_another_process_marks_it_between_the_two_looks(self) -> None:
        class Racing(memory.MemoryStore):
            def scan(self, *args, **named):
                if not self.get([keys.SCHEMA]).records:
                    self.commit([], [storage.Put(keys.SCHEMA, b"1"), storage.Put("users/1", b"{}")])
                return super().scan(*args, **named)

        layout.ensure(Racing())
