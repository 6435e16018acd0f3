"""A local driver in a folder of its own, and a look past it at the processes themselves."""

import os
import tempfile
import time
import unittest

from apisvc.compute import base
from apisvc.compute.local import driver, processes
from apisvc.testing import backends

PATIENCE = float(os.environ.get("APISVC_TEST_PATIENCE", "60"))
#: A command with a child that has a session of its own.
FAMILY = ("/bin/sh", "-c", "setsid sleep 601 & exec sleep 602")


class LocalCase(unittest.TestCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.owned = os.path.join(self.folder, "apisvc-test")
        self.driver = self.make()
        self.addCleanup(self._end_all)

    def _end_all(self):
        for seen in self.driver.observe(deadline=backends.soon()):
            self.delete(seen.tag.instance_id)

    def make(self, **options):
        options = {"stop_grace": 5.0, **options}
        return driver.LocalDriver(backends.context(driver.LocalDriver, state_dir=self.folder, **options))

    def workload(self, instance_id="i", command=("/bin/sleep", "600"), **fields):
        return backends.workload(instance_id, image="host", command=command, **fields)

    def ensure(self, *args, **fields):
        workload = self.workload(*args, **fields)
        self.driver.ensure(workload, deadline=backends.soon())
        return workload

    def look(self, instance_id="i"):
        found = self.driver.observe([instance_id], deadline=backends.soon())
        return found[0] if found else None

    def until(self, what, why=""):
        end = time.monotonic() + PATIENCE
        while not (answer := what()):
            self.assertLess(time.monotonic(), end, f"never: {why}; last seen {self._all()}")
            time.sleep(0.005)
        return answer

    def _all(self):
        seen = self.driver.observe(deadline=backends.soon())
        return [(one, self.processes(one.tag.instance_id)) for one in seen]

    def until_phase(self, phase, instance_id="i", **fields):
        def there():
            seen = self.look(instance_id)
            right = seen and seen.phase == phase and all(getattr(seen, k) == v for k, v in fields.items())
            return seen if right else None

        return self.until(there, f"{phase} {fields}")

    def until_running(self, instance_id="i", **fields):
        return self.until_phase(base.Phase.RUNNING, instance_id, **fields)

    def delete(self, instance_id="i"):
        self.until(lambda: self.driver.delete(instance_id, "tenant-1", deadline=backends.soon()), "deleted")

    def path(self, instance_id="i", *names):
        return os.path.join(self.owned, instance_id, *names)

    def output(self, instance_id="i"):
        request = base.LogRequest()
        return b"".join(self.driver.logs(instance_id, "tenant-1", request, deadline=backends.soon())).decode()

    def processes(self, instance_id="i"):
        """Pids of the instance's own processes."""
        return sorted(processes.marked(self.path(instance_id)))

    def supervisors(self, instance_id="i"):
        """Pids of supervisors of the instance."""
        wanted = os.fsencode(self.path(instance_id))
        found = []
        for name in filter(str.isdecimal, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if wanted in words and any(word.endswith(b"supervisor.py") for word in words):
                found.append(int(name))
        return found
