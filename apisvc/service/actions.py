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
NEEDS: Mapping[str, str] = {"start": "power", "stop": "power", "reboot": "power", "logs": "logs"}


def possible(
    instance: instances.Instance, backend: compute.LoadedBackend | None
) -> Mapping[str, views.ActionView]:
    """For the view: each action, whether it is possible, and else why not."""
    return _possible(
        instance.spec.backend,
        type(backend.driver) if backend else None,
        instance.deleted_at is not None,
        instance.spec.power,
    )


def require(instance: instances.Instance, backend: compute.LoadedBackend | None, action: str) -> None:
    """:raises WrongState, Unsupported: unless ``action`` is possible now."""
    error = _why_not(
        action,
        instance.spec.backend,
        type(backend.driver) if backend else None,
        instance.deleted_at is not None,
        instance.spec.power,
    )
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


# PERF: part of every view; there are but a few different ones.
@functools.lru_cache(maxsize=1024)
def _possible(
    name: str, driver: type[compute.ComputeDriver] | None, deleting: bool, power: instances.Power
) -> Mapping[str, views.ActionView]:
    found = {}
    for action in NEEDS:
        error = _why_not(action, name, driver, deleting, power)
        found[action] = views.ActionView(possible=error is None, reason=error.detail if error else None)
    return found


def _why_not(
    action: str,
    name: str,
    driver: type[compute.ComputeDriver] | None,
    deleting: bool,
    power: instances.Power,
) -> errors.ApisvcError | None:
    if driver is None:
        return errors.Unsupported(f"Backend {name!r} is not configured any more.")
    if NEEDS[action] not in compute.capabilities(driver):
        return errors.Unsupported(f"Backend {name!r} has no {action!r}: its driver lacks {NEEDS[action]!r}.")
    if deleting and action != "logs":
        return errors.WrongState("The instance is being deleted.")
    if action == "reboot" and power is instances.Power.STOPPED:
        return errors.WrongState("The instance is stopped; start it instead.")
    return None
