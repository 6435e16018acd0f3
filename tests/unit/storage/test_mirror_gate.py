"""Many readers ask the store once for how far it is, and none waits longer than it may."""

import threading
import time

import testtools

from apisvc import errors
from apisvc.storage import base
from apisvc.storage.mirror import gate
from tests.functional import deployment
from tests.unit.storage import breakable, mirror_case

soon = mirror_case.soon


class TestGate(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.store = breakable.BreakableStore()
        self.gate = gate.Gate(self.store)

    def test_who_waits_together_asks_once(self):
        self.store.held.clear()
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(self.gate.revision(soon())), daemon=True)
            for _ in range(20)
        ]
        threads[0].start()
        deployment.wait_for("the first call", lambda: self.store.revisions == 1)
        revision = self.store.commit([], [base.Put("a", b"")])
        for thread in threads[1:]:
            thread.start()
        deployment.wait_for("the others", lambda: len(self.gate._waiting) == 19)
        self.store.held.set()
        for thread in threads:
            thread.join(30)
        self.assertEqual(2, self.store.revisions)
        # Who came after the commit sees it; the call of the first had begun before.
        self.assertEqual([0] + [revision] * 19, sorted(answers))

    def test_the_haste_of_one_is_not_the_failure_of_another(self):
        self.store.held.clear()
        failed = []

        def hasty():
            try:
                self.gate.revision(soon(0.2))
            except errors.StoreUnavailable:
                failed.append(True)

        first = threading.Thread(target=hasty, daemon=True)
        first.start()
        deployment.wait_for("the first call", lambda: self.store.revisions == 1)
        patient = []
        second = threading.Thread(target=lambda: patient.append(self.gate.revision(soon())), daemon=True)
        second.start()
        first.join(30)
        self.store.held.set()
        second.join(30)
        self.assertEqual(([True], [0]), (failed, patient))

    def test_nobody_waits_longer_than_his_deadline(self):
        self.store.held.clear()
        threading.Thread(target=lambda: self.gate.revision(soon()), daemon=True).start()
        deployment.wait_for("the first call", lambda: self.store.revisions == 1)
        begun = time.monotonic()
        self.assertRaises(errors.StoreUnavailable, self.gate.revision, soon(0.1))
        self.assertLess(time.monotonic() - begun, 15)
        self.store.held.set()

    def test_a_crowd_with_and_without_patience(self):
        """Nobody hangs, nobody is shown what was before he asked, and few calls serve many."""
        answered, wrong = [], []
        stop = threading.Event()
        revision = self.store.revision

        def far_away(*, deadline):
            answer = revision(deadline=deadline)
            stop.wait(0.001)
            return answer

        self.store.revision = far_away

        def write():
            while not stop.wait(0.0005):
                self.store.commit([], [base.Put("a", b"")])

        def ask(number):
            for turn in range(100):
                known = self.store._revision
                # Some give up while they wait, also those who would have made the next call.
                hasty = (number + turn) % 5 == 0
                try:
                    answer = self.gate.revision(soon(0.0005 if hasty else 30.0))
                except errors.StoreUnavailable:
                    wrong.extend([] if hasty else [f"{number} was refused"])
                    continue
                answered.append(answer)
                wrong.extend([f"{answer} after {known}"] if answer < known else [])

        threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(16)]
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        stop.set()
        writer.join(60)
        self.assertEqual([], [thread for thread in threads if thread.is_alive()])
        self.assertEqual([], wrong)
        self.assertGreaterEqual(len(answered), 16 * 80)
        self.assertLess(self.store.revisions, len(answered))
        # Nobody is left behind who would be woken by nobody.
        self.assertEqual(([], False), (self.gate._waiting, self.gate._running))
