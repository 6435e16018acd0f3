"""The table is complete, and whoever follows it arrives."""

import time

import hypothesis
import msgspec
import testtools
from hypothesis import strategies

from apisvc.compute import base as compute
from apisvc.compute.base import Phase
from apisvc.model import backends, instances, states
from apisvc.model.instances import Power, State
from apisvc.worker import decide, outcome, table
from apisvc.worker.table import Desired, Step

NOW = 1_000_000.0
ACTS = table.ACTS


def instance(**changes: object) -> instances.Instance:
    spec = instances.Spec(
        backend="east",
        image_id="i",
        image="busybox",
        image_ref="busybox",
        flavor_id="f",
        flavor="small",
        vcpus=1,
        ram_mb=64,
        disk_gb=1,
    )
    made = instances.Instance(
        id="a", tenant_id="t", name="a", spec=spec, created_at=NOW, updated_at=NOW, created_by="u"
    )
    return msgspec.structs.replace(made, **changes)


def observed(of: instances.Instance, phase: Phase, **fields: object) -> compute.Observed:
    tag = compute.Tag("test", of.tenant_id, of.id, of.spec.hash)
    return compute.Observed(tag=tag, phase=phase, **fields)


class Table(testtools.TestCase):
    def test_every_situation_has_exactly_one_row(self) -> None:
        for situation in table.situations():
            rows = [row.why for row in table.ROWS if row.matches(situation)]
            self.assertEqual(1, len(rows), f"{situation}: {rows}")

    def test_every_row_is_used(self) -> None:
        used = {id(table.row(situation)) for situation in table.situations()}
        self.assertEqual({id(row) for row in table.ROWS}, used)

    def test_it_keeps_to_the_state_table(self) -> None:
        reached = set()
        for situation in table.situations():
            if situation.state is State.DELETING and situation.desired is not Desired.DELETED:
                continue  # a delete is never taken back
            state = table.row(situation).state or situation.state
            self.assertTrue(states.allowed(situation.state, state), f"{situation} -> {state}")
            reached.add((situation.state, state))
        for source, target, why in states.pairs():
            if target != states.GONE:
                self.assertIn((source, target), reached, why)

    def test_the_deleted_are_only_deleted(self) -> None:
        for situation in table.situations():
            wanted = situation.desired is Desired.DELETED
            self.assertEqual(wanted, table.row(situation).step is Step.DELETE, situation)

    def test_the_look_is_left_out_only_where_it_does_not_matter(self) -> None:
        for state in (State.PENDING, State.ACTIVE):
            for deleted_at in (None, NOW):
                it = instance(deleted_at=deleted_at, status=instances.Status(state=state))
                if not decide.needs_look(it):
                    steps = {
                        decide.decide(it, seen, decide.BackendSituation(), NOW).step
                        for seen in [None, *(observed(it, phase) for phase in Phase)]
                    }
                    self.assertEqual(1, len(steps), steps)

    def test_what_ended_by_itself_is_not_run_again(self) -> None:
        for situation in table.situations():
            ended = situation.phase in (Phase.EXITED, table.MISSING) and situation.state is State.STOPPED
            if situation.desired is Desired.RUNNING and ended and not situation.news:
                same = situation.same_spec or situation.phase is table.MISSING
                self.assertEqual(same, table.row(situation).step is Step.SETTLE, situation)

    def test_it_prints_itself(self) -> None:
        text = decide.as_markdown()
        rows = list(decide.rows())
        self.assertEqual(len(table.ROWS) + len(decide.GATES), len(rows))
        self.assertEqual(len(rows), len({when for when, _, _, _ in rows}), "each says when in its own words")
        for cells in rows:
            for cell in cells:
                self.assertIn(cell.replace("``", "`"), text)


class Gates(testtools.TestCase):
    def decide(self, it: instances.Instance, seen: compute.Observed | None = None, **backend: object):
        return decide.decide(it, seen, decide.BackendSituation(**backend), NOW)

    def test_a_disabled_backend_is_left_alone(self) -> None:
        for it in (instance(), instance(deleted_at=NOW)):
            self.assertIs(Step.LEAVE, self.decide(it, state=backends.BackendState.DISABLED).step)

    def test_draining_keeps_what_is_there(self) -> None:
        self.assertIs(Step.ENSURE, self.decide(instance(), state=backends.BackendState.DRAINING).step)

    def test_a_retryable_fault_waits_for_its_time(self) -> None:
        retry = instances.Retry(attempts=1, next_at=NOW + 5, pause=5, generation=1)
        it = instance(status=instances.Status(state=State.BUILDING, retry=retry))
        found = self.decide(it)
        self.assertEqual((Step.HOLD, NOW + 5), (found.step, found.until))
        later = msgspec.structs.replace(it, generation=2)
        self.assertIs(Step.ENSURE, self.decide(later).step, "a new spec is tried at once")
        self.assertIs(Step.SETTLE, self.decide(it, observed(it, Phase.RUNNING)).step, "it runs after all")

    def test_nobody_waits_for_a_clock_that_was_set_back(self) -> None:
        retry = instances.Retry(attempts=1, next_at=NOW + 86400, pause=5, generation=1)
        it = instance(status=instances.Status(state=State.BUILDING, retry=retry))
        self.assertIs(Step.ENSURE, self.decide(it).step)

    def test_other_faults_wait_for_people(self) -> None:
        fault = instances.Fault(code="invalid_spec", message="no", retryable=False, at=NOW)
        status = instances.Status(state=State.ERROR, fault=fault, observed_generation=1)
        it = instance(status=status)
        found = self.decide(it)
        self.assertEqual((Step.HOLD, None), (found.step, found.until))
        self.assertIs(Step.ENSURE, self.decide(msgspec.structs.replace(it, generation=2)).step)
        gone = msgspec.structs.replace(it, deleted_at=NOW, generation=2)
        self.assertIs(Step.DELETE, self.decide(gone).step)


class Starting(testtools.TestCase):
    """A start of what has exited: the one case where the past matters."""

    def setUp(self) -> None:
        super().setUp()
        status = instances.Status(state=State.STOPPED, observed_generation=1, started_at=5.0, exit_code=0)
        self.it = instance(generation=2, status=status)

    def step(self, it: instances.Instance, started_at: float, handed: int = 0) -> Step:
        seen = observed(it, Phase.EXITED, started_at=started_at)
        situation = decide.BackendSituation(handed=decide.Handed(handed))
        return decide.decide(it, seen, situation, NOW).step

    def test_the_old_run_is_started_anew(self) -> None:
        self.assertIs(Step.START, self.step(self.it, 5.0))

    def test_after_a_crash_before_the_call_it_is_still_started(self) -> None:
        intent = outcome.intent(self.it, observed(self.it, Phase.EXITED, started_at=5.0), State.STARTING, NOW)
        self.assertIs(Step.START, self.step(msgspec.structs.replace(self.it, status=intent), 5.0))

    def test_after_a_crash_behind_the_call_it_is_not_run_twice(self) -> None:
        intent = outcome.intent(self.it, observed(self.it, Phase.EXITED, started_at=5.0), State.STARTING, NOW)
        self.assertIs(Step.SETTLE, self.step(msgspec.structs.replace(self.it, status=intent), 6.0))

    def test_handed_over_it_is_not_started_again(self) -> None:
        self.assertIs(Step.SETTLE, self.step(self.it, 5.0, handed=2))


class Simulated:
    """A backend of one object: each act leaves it in a phase on the way, each look moves it on."""

    ON: dict[Phase, Phase | None] = {
        Phase.CREATING: Phase.RUNNING,
        Phase.STARTING: Phase.RUNNING,
        Phase.REBOOTING: Phase.RUNNING,
        Phase.STOPPING: Phase.STOPPED,
        Phase.UNKNOWN: Phase.RUNNING,
        Phase.DELETING: None,
    }

    def __init__(self, phase: Phase | None, spec_hash: str, counts_reboots: bool) -> None:
        self.phase = phase
        self.spec_hash = spec_hash
        self.counts_reboots = counts_reboots
        self.reboots = 0
        self.rest = False
        self.calls: list[Step] = []

    def look(self, it: instances.Instance) -> compute.Observed | None:
        if self.phase is None:
            return None
        tag = compute.Tag("test", it.tenant_id, it.id, self.spec_hash)
        return compute.Observed(
            tag=tag,
            phase=self.phase,
            reboots=self.reboots if self.counts_reboots else None,
            started_at=1.0,
        )

    def pass_time(self) -> None:
        if self.phase in self.ON:
            after = self.ON[self.phase]
            self.phase = Phase.STOPPED if after is Phase.RUNNING and self.rest else after

    def act(self, step: Step, it: instances.Instance) -> None:
        self.calls.append(step)
        self.rest = it.spec.power is Power.STOPPED
        if step is Step.DELETE:
            self.phase = None if self.phase in (None, Phase.DELETING) else Phase.DELETING
        elif step is Step.ENSURE:
            self.phase, self.spec_hash, self.reboots = Phase.CREATING, it.spec.hash, it.spec.reboots
        elif step is Step.REBOOT:
            self.phase, self.reboots = Phase.REBOOTING, it.spec.reboots
        else:
            self.phase = Phase.STARTING if step is Step.START else Phase.STOPPING


situations = {
    "state": strategies.sampled_from(State),
    "phase": strategies.sampled_from([*Phase, None]),
    "same_spec": strategies.booleans(),
    "news": strategies.booleans(),
    "power": strategies.sampled_from(Power),
    "reboots": strategies.integers(0, 2),
    "deleted": strategies.booleans(),
    "counts_reboots": strategies.booleans(),
    "crash_at": strategies.sets(strategies.integers(0, 12)),
}


class Converges(testtools.TestCase):
    @hypothesis.given(**situations)
    @hypothesis.settings(max_examples=400, deadline=None)
    def test_from_anywhere(
        self, state, phase, same_spec, news, power, reboots, deleted, counts_reboots, crash_at
    ) -> None:
        it = instance(generation=2, deleted_at=NOW if deleted else None)
        it = msgspec.structs.replace(
            it,
            spec=msgspec.structs.replace(it.spec, power=power, reboots=reboots),
            status=instances.Status(state=state, observed_generation=1 if news else 2),
        )
        sim = Simulated(phase, it.spec.hash if same_spec else "other", counts_reboots)
        handed, settled = decide.Handed(), False
        for turn in range(40):
            if turn in crash_at:
                handed = decide.Handed()  # another worker takes over, which knows nothing
            seen = sim.look(it)
            found = decide.decide(it, seen, decide.BackendSituation(handed=handed), NOW)
            if found.step in ACTS:
                it = msgspec.structs.replace(it, status=outcome.intent(it, seen, found.state, NOW))
                sim.act(found.step, it)
                done = it.spec.reboots if found.step in (Step.ENSURE, Step.REBOOT) else handed.reboots
                handed = decide.Handed(it.generation, done)
                if deleted and sim.phase is None:
                    settled = True
                    break
            elif found.step is Step.WAIT:
                it = msgspec.structs.replace(it, status=outcome.waiting(it, seen, found.state, NOW))
            else:
                self.assertIs(Step.SETTLE, found.step)
                it = msgspec.structs.replace(it, status=outcome.settled(it, seen, found, NOW))
                handed = decide.Handed()
                if sim.phase is not Phase.UNKNOWN:
                    settled = True
                    break
            sim.pass_time()
        self.assertTrue(settled, f"{it.status} {sim.phase} {sim.calls}")
        self._right(it, sim, deleted)

    def _right(self, it: instances.Instance, sim: Simulated, deleted: bool) -> None:
        if deleted:
            self.assertEqual({Step.DELETE}, set(sim.calls))
            return
        self.assertNotIn(Step.DELETE, sim.calls)
        self.assertEqual(it.generation, it.status.observed_generation)
        self.assertEqual(it.spec.reboots, it.status.reboots)
        expected = {
            Phase.RUNNING: (Power.RUNNING, State.ACTIVE),
            Phase.STOPPED: (Power.STOPPED, State.STOPPED),
        }
        if sim.phase in expected:
            self.assertEqual(expected[sim.phase], (it.spec.power, it.status.state))
            self.assertEqual(it.spec.hash, sim.spec_hash)
        elif sim.phase is Phase.FAILED:
            self.assertIs(State.ERROR, it.status.state)
        else:  # it had ended by itself
            self.assertIn(sim.phase, (Phase.EXITED, Phase.DELETING, None))
            self.assertIs(State.STOPPED, it.status.state)


class Faults(testtools.TestCase):
    def test_the_fate_of_each_error(self) -> None:
        rates = outcome.Rates(1.0, 300.0)
        for kind in compute.ERRORS:
            it = instance()
            status = outcome.failed(it, State.BUILDING, kind("sorry"), rates, NOW)
            self.assertEqual(kind.retryable, status.fault.retryable)
            self.assertEqual(kind.code, status.fault.code)
            self.assertEqual(State.BUILDING if kind.retryable else State.ERROR, status.state)
            self.assertEqual(kind.retryable, status.retry is not None)
            self.assertEqual(0 if kind.retryable else 1, status.observed_generation)
            deleting = outcome.failed(instance(deleted_at=NOW), State.DELETING, kind(), rates, NOW)
            self.assertIs(State.DELETING, deleting.state)
            self.assertIsNotNone(deleting.retry, "a delete is tried for ever")

    def test_pauses_grow_and_patience_ends(self) -> None:
        rates, it, pauses = outcome.Rates(1.0, 60.0), instance(), []
        for attempt in range(1, 12):
            status = outcome.failed(it, State.BUILDING, compute.Unavailable(), rates, NOW)
            self.assertEqual(attempt, status.retry.attempts)
            self.assertIs(State.ERROR if attempt >= outcome.PATIENCE else State.BUILDING, status.state)
            pauses.append(status.retry.next_at - NOW)
            it = msgspec.structs.replace(it, status=status)
        for number, pause in enumerate(pauses):
            longest = min(60.0, 2.0**number)
            self.assertTrue(longest / 2 <= pause <= longest, pauses)

    def test_retry_after_is_honoured(self) -> None:
        error = compute.RateLimited(retry_after=33.0)
        status = outcome.failed(instance(), State.BUILDING, error, outcome.Rates(), NOW)
        self.assertGreaterEqual(status.retry.next_at, NOW + 33.0)

    def test_bugs_are_not_shown(self) -> None:
        with self.assertLogs("apisvc.worker.outcome", "ERROR"):
            error = outcome.as_driver_error(KeyError("secret-cluster-7"))
        status = outcome.failed(instance(), State.BUILDING, error, outcome.Rates(), NOW)
        self.assertEqual("driver_bug", status.fault.code)
        self.assertNotIn("secret", status.fault.message)

    def test_deciding_is_quick(self) -> None:
        it = instance(status=instances.Status(state=State.ACTIVE))
        seen = observed(it, Phase.RUNNING)
        started = time.thread_time()
        for _ in range(1000):
            decide.decide(it, seen, decide.BackendSituation(), NOW)
        self.assertLess(time.thread_time() - started, 1.0)
