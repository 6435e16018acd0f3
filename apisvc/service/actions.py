"""What can be done with an instance now, and why not the rest."""

import functools
from collections.abc import Mapping

import msgspec

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import instances
from apisvc.schemas import instance_views as views
from apisvc.schemas import instances as schema

#: Everything that an instance's view speaks of, with the capability its backend's driver needs for it.
NEEDS: Mapping[str, str | None] = {
    "start": "power",
    "stop": "power",
    "reboot": "power",
    "logs": "logs",
    "exec": "exec",
    "console": "console",
    "resize": "resize",
    "update": None,
    "delete": None,
}
#: What needs a running program. A fault (``error``) may be of something else; the backend then says.
_AT_WORK = ("exec", "console")
_RUNS = (instances.State.ACTIVE, instances.State.ERROR)


def possible(
    instance: instances.Instance, backend: compute.LoadedBackend | None
) -> Mapping[str, views.ActionView]:
    """For the view: each action, whether it is possible, and else why not."""
    return _possible(*_situation(instance, backend))


def require(instance: instances.Instance, backend: compute.LoadedBackend | None, action: str) -> None:
    """:raises WrongState, Unsupported: unless ``action`` is possible now."""
    error = _why_not(action, *_situation(instance, backend))
    if error is not None:
        raise error


def apply(instance: instances.Instance, action: schema.Action) -> instances.Instance:
    """What becomes of the instance when ``action`` is asked for; the very same when it is so already."""
    spec, status = instance.spec, instance.status
    if action is schema.Action.STOP:
        spec = msgspec.structs.replace(spec, power=instances.Power.STOPPED)
    elif action is schema.Action.REBOOT:
        spec = msgspec.structs.replace(spec, reboots=spec.reboots + 1)
    else:
        spec = msgspec.structs.replace(spec, power=instances.Power.RUNNING)
    # What should run and does not has ended by itself; a new generation is what starts it again.
    at_rest = status.state in (instances.State.STOPPED, instances.State.ERROR)
    settled = status.observed_generation == instance.generation
    if spec != instance.spec or (action is schema.Action.START and at_rest and settled):
        return msgspec.structs.replace(instance, spec=spec, generation=instance.generation + 1)
    return instance


#: All that it depends on: backend, its driver, whether it is being deleted, the state asked for, and its own.
_Situation = tuple[str, type[compute.ComputeDriver] | None, bool, instances.Power, instances.State]


def _situation(instance: instances.Instance, backend: compute.LoadedBackend | None) -> _Situation:
    return (
        instance.spec.backend,
        type(backend.driver) if backend else None,
        instance.deleted_at is not None,
        instance.spec.power,
        instance.status.state,
    )


# PERF: part of every view; there are but a few different ones.
@functools.lru_cache(maxsize=1024)
def _possible(
    name: str,
    driver: type[compute.ComputeDriver] | None,
    deleting: bool,
    power: instances.Power,
    state: instances.State,
) -> Mapping[str, views.ActionView]:
    found = {}
    for action in NEEDS:
        error = _why_not(action, name, driver, deleting, power, state)
        found[action] = views.ActionView(possible=error is None, reason=error.detail if error else None)
    return found


def _why_not(
    action: str,
    name: str,
    driver: type[compute.ComputeDriver] | None,
    deleting: bool,
    power: instances.Power,
    state: instances.State,
) -> errors.ApisvcError | None:
    needed = NEEDS[action]
    if action == "delete":
        return None
    if needed is not None and driver is None:
        return errors.Unsupported(f"Backend {name!r} is not configured any more.")
    if needed is not None and driver is not None and needed not in compute.capabilities(driver):
        if action == "resize":
            return errors.Unsupported(
                f"Backend {name!r} gives another flavor only by making the instance anew: "
                "its driver lacks 'resize'."
            )
        return errors.Unsupported(f"Backend {name!r} has no {action!r}: its driver lacks {needed!r}.")
    if deleting and action != "logs":
        return errors.WrongState("The instance is being deleted.")
    if action == "reboot" and power is instances.Power.STOPPED:
        return errors.WrongState("The instance is stopped; start it instead.")
    if action in _AT_WORK and (power is instances.Power.STOPPED or state not in _RUNS):
        return errors.WrongState(f"The instance does not run: it is {state.value}.")
    return None
