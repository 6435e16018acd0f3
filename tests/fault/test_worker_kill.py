"""Worker processes are killed at named steps, one after the other, in the middle of creates, stops and deletes.

At the end a worker that nobody kills has everything as it was asked for:
nothing twice, nothing left over, the ledger equal to reality.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import testtools

from apisvc.commands import demo, dev, entry
from apisvc.compute import base as compute
from apisvc.model import codec, instances, keys, tenants
from apisvc.schemas import instances as schema
from apisvc.service import consistency, context
from apisvc.testing import faults

#: Step and how often it goes well before; each kills one process.
PLACES = (
    ("before", "store.claim", 2),
    ("before", "driver.ensure", 2),
    ("after", "driver.ensure", 2),
    ("before", "store.settle", 3),
    ("after", "driver.stop", 1),
    ("before", "driver.delete", 1),
    ("before", "store.remove", 1),
    ("after", "store.remove", 1),
)
#: The same for one that is adopted.
ADOPTING = (
    ("before", "store.claim"),
    ("after", "store.claim"),
    ("before", "driver.adopt"),
    ("after", "driver.adopt"),
    ("before", "store.settle"),
)


class Killing(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = self.enterContext(tempfile.TemporaryDirectory())
        state = demo.State(pathlib.Path(folder))
        state.config.write_text(
            f"[DEFAULT]\nstate_dir = {folder}\nenabled_backends = cloud\n"
            "[storage]\ndriver = sqlite\n"
            f"[cloud]\ndriver = fake\nstate_file = {folder}/cloud.sqlite\ndelay = 0.02\n"
            "[worker]\nlease_ttl = 2\nresync_interval = 1\n"
            "[quota]\ninstances = -1\nvcpus = -1\nram_mb = -1\ndisk_gb = -1\n"
        )
        self.config = str(state.config)
        arguments = entry.parser("test", "").parse_args(["--config-file", self.config])
        self.assembly, _ = dev.prepare(entry.configuration(arguments), state)
        self.addCleanup(self.assembly.close)
        self.services = self.assembly.services
        self.tenant = self.services.tenants.get(context.system(), demo.TENANT).value
        self.wishes: dict[str, str] = {}

    def worker(self, fault: str = "") -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fault.worker_process", "--config-file", self.config],
            env=os.environ | {faults.VARIABLE: fault},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(self.end, process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def until(self, what: Callable[[], object], message: str, seconds: float = 180.0) -> None:
        end = time.monotonic() + seconds
        while not what():
            if time.monotonic() > end:
                raise AssertionError(f"not {message}")
            time.sleep(0.02)

    # What users do

    def ask(self) -> None:
        """Three more, one of the older stopped, one deleted."""
        for _ in range(3):
            body = schema.InstanceCreate(image="host", flavor="tiny")
            made = self.services.instances.create(context.system(), self.tenant.id, body)
            self.wishes[made.result.id] = "active"
        older = [one for one, wish in self.wishes.items() if wish == "active"]
        self.services.instances.act(context.system(), self.tenant.id, older[0], schema.Action.STOP)
        self.wishes[older[0]] = "stopped"
        self.services.instances.delete(context.system(), self.tenant.id, older[1])
        self.wishes[older[1]] = "gone"

    # What became of it

    def states(self) -> dict[str, str]:
        page = self.assembly.store.scan(keys.under(keys.INSTANCES, self.tenant.id))
        found = [codec.decode(record.value, instances.Instance) for record in page.records]
        return {
            one.id: one.status.state.value if one.status.observed_generation == one.generation else "busy"
            for one in found
        }

    def fulfilled(self) -> bool:
        return self.states() == {one: wish for one, wish in self.wishes.items() if wish != "gone"}

    def test_every_wish_comes_true_exactly_once(self) -> None:
        for when, step, nth in PLACES:
            process = self.worker(f"kill:{when}:{step}:{nth}")
            for _ in range(5):
                # What is stopped before it was ever made needs no stop of the driver: then the next one does.
                self.ask()
                self.until(
                    lambda process=process: process.poll() is not None or self.fulfilled(),
                    "killed, or as asked for",
                )
                if process.poll() is not None:
                    break
            self.assertEqual(-9, process.poll(), f"killed {when} {step}")
        self.worker()
        self.until(self.fulfilled, "as asked for")
        wanted = {one: wish for one, wish in self.wishes.items() if wish != "gone"}
        driver = self.assembly.backends["cloud"].driver
        seen = driver.observe(deadline=time.monotonic() + 10)
        phases = {"active": compute.Phase.RUNNING, "stopped": compute.Phase.STOPPED}
        self.assertEqual(
            {one: phases[wish] for one, wish in wanted.items()},
            {observed.tag.instance_id: observed.phase for observed in seen},
        )
        self.assertEqual(len(seen), len(wanted), "no twins")
        key = keys.join(keys.LEDGERS, self.tenant.id)
        ledger = codec.decode(self.assembly.store.get([key]).records[key].value, tenants.Ledger)
        self.assertEqual(len(wanted), ledger.used.instances)
        self.until(lambda: not self.assembly.store.scan(keys.CLAIMS).records, "all claims released")

    def test_what_others_made_is_adopted_once(self) -> None:
        driver = self.assembly.backends["cloud"].driver
        handles: dict[str, str] = {}
        for number, (when, step) in enumerate(ADOPTING):
            handle = f"vm-{number}"
            stray = driver.add_stray(handle)
            made = self.services.adoption.adopt(context.system(), demo.TENANT, "cloud", stray).instance
            handles[made.id] = handle
            process = self.worker(f"kill:{when}:{step}:1")
            self.until(lambda process=process: process.poll() is not None, f"killed {when} {step}")
            self.assertEqual(-9, process.poll())
        self.worker()
        self.until(lambda: self.states() == dict.fromkeys(handles, "active"), "all are instances")
        seen = driver.observe(deadline=time.monotonic() + 10)
        self.assertEqual(handles, {one.tag.instance_id: one.handle for one in seen})
        self.assertEqual(len(handles), len(seen), "no twins")
        self.assertEqual([], list(driver.strays(deadline=time.monotonic() + 10)))
        self.assertEqual([], consistency.check(self.assembly.store)[1])
