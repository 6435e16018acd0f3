"""An instance that runs, for the tests of how people get into it."""

from apisvc.model import instances
from tests.functional import deployment
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
        return deployment.wait_for(why, what, 30)
