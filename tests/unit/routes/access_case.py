"""An instance that runs, for the tests of how people get into it."""

import time

from apisvc.model import instances
from tests.unit.routes import instances_case

State = instances.State


class AccessCase(instances_case.InstancesCase):
    def setUp(self):
        super().setUp()
        self.run_it(self.post(name="web"))
        self.settle("web", State.ACTIVE, self.blue)
        self.script = self.drivers["east"].script

    def told(self, action):
        """The events of an action, newest last."""
        return [event for event in self.events() if event.action == action]

    def until(self, what, why="in time"):
        end = time.monotonic() + 30
        while not (answer := what()):
            self.assertLess(time.monotonic(), end, f"not {why}")
            time.sleep(0.01)
        return answer
