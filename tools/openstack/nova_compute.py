"""nova-compute on a fake hypervisor whose servers outlive nova-compute, as those of a real one do.

Nova's own fake one keeps them in the memory of nova-compute.
"""

import sys

# First: it decides how Nova runs its threads.
import nova.cmd.compute
from nova import context, objects
from nova.compute import vm_states
from nova.virt import fake


class LastingDriver(fake.FakeDriverWithoutFakeNodes):
    def init_host(self, host: str) -> None:
        super().init_host(host)
        for instance in objects.InstanceList.get_by_host(context.get_admin_context(), host):
            # One that was being built when nova-compute died was never there.
            if instance.vm_state not in (vm_states.BUILDING, vm_states.ERROR):
                self.instances[instance.uuid] = fake.FakeInstance(
                    instance.name, instance.power_state, instance.uuid
                )


# Nova takes drivers from its own package only.
fake.LastingDriver = LastingDriver
sys.argv[0] = "nova-compute"
sys.exit(nova.cmd.compute.main())
