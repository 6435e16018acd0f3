from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import codec, identity, instances
from apisvc.service import actions
from tests.unit.service import instances_case

State = instances.State


class PossibleTest(instances_case.InstancesCase):
    """What a view says of the actions is what happens when one is asked for."""

    def told(self, ref):
        found = self.instances.get(self.as_ann(), self.acme.id, ref)
        view = self.instances.view(self.as_ann(), found)
        for name, action in view.actions.items():
            backend = self.loaded.get(found.value.spec.backend)
            if action.possible:
                self.assertIsNone(action.reason)
                actions.require(found.value, backend, name)
            else:
                error = self.assertRaises(errors.Conflict, actions.require, found.value, backend, name)
                self.assertEqual(action.reason, error.detail)
        return view.actions

    def possible(self, ref):
        return {name for name, action in self.told(ref).items() if action.possible}

    def test_what_runs_can_all_that_its_driver_can(self):
        self.create(name="web")
        self.assertLessEqual({"exec", "console"}, set(actions.NEEDS) - self.possible("web"))
        self.settle("web", State.ACTIVE)
        can = {"start", "stop", "reboot", "logs", "update", "delete"}
        can |= {"exec", "console", "resize"} & set(compute.capabilities(type(self.drivers["east"])))
        self.assertEqual(can, self.possible("web"))

    def test_what_is_stopped_cannot_be_rebooted_or_entered(self):
        self.create(name="web", power=instances.Power.STOPPED)
        self.settle("web", State.STOPPED)
        self.assertEqual(set(), {"reboot", "exec", "console"} & self.possible("web"))

    def test_a_driver_that_can_nothing_says_what_it_lacks(self):
        self.create(name="web", backend="bare")
        told = self.told("web")
        self.assertEqual({"update", "delete"}, self.possible("web"))
        self.assertIn("driver lacks 'logs'", told["logs"].reason)
        self.assertIn("making the instance anew", told["resize"].reason)

    def test_what_is_being_deleted_has_only_its_logs(self):
        self.create(name="web")
        self.instances.delete(self.as_ann(), self.acme.id, "web")
        self.assertEqual({"logs", "delete"}, self.possible("web"))
        self.assertEqual("The instance is being deleted.", self.told("web")["start"].reason)

    def test_a_backend_that_is_gone_is_named(self):
        self.create(name="web", backend="west")
        del self.loaded["west"]
        self.assertEqual({"update", "delete"}, self.possible("web"))
        self.assertIn("not configured any more", self.told("web")["logs"].reason)


class NodeTest(instances_case.InstancesCase):
    def test_the_node_is_shown_to_admins_only(self):
        self.create(name="web")
        self.settle("web", State.ACTIVE)
        found = self.instances.get(self.as_ann(), self.acme.id, "web")
        self.assertIsNone(self.instances.view(self.as_ann(), found).status.node)
        self.assertEqual(
            "node-7",
            self.instances.view(
                self.context(identity.Identity(user_id="r", user_name="root", admin=True)), found
            ).status.node,
        )
        self.assertIsNone(self.instances.view(self.context(), codec.Versioned(found.value, 1)).status.node)
