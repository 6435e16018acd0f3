"""From what a request names to a spec with everything resolved and copied."""

from collections.abc import Mapping
from typing import Any

import msgspec

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import catalogue, instances
from apisvc.schemas import instances as schema
from apisvc.service import flavors, images, placement, records, secrets, workloads
from apisvc.storage import base as storage

#: Fields of a spec that a PATCH takes as they are.
_PLAIN = ("command", "args", "env", "ports", "restart_policy")


class Resolver:
    """Looks up images, flavors and backends. They are copied, so nothing of them is guarded."""

    def __init__(self, store: storage.Store, loaded: Mapping[str, compute.LoadedBackend]) -> None:
        self._store = store
        self._loaded = loaded

    def new_spec(
        self, body: schema.InstanceCreate, secret_env: dict[str, str], *, deadline: float
    ) -> instances.Spec:
        """The spec of a new instance; ``secret_env`` is sealed already.

        :raises InvalidRequest, NoBackend:
        """
        image: catalogue.Image = self._named(images.Images.entries, "image", body.image, deadline)
        flavor: catalogue.Flavor = self._named(flavors.Flavors.entries, "flavor", body.flavor, deadline)
        backend, reference = placement.choose(
            self._store, self._loaded, image, body.backend, deadline=deadline
        )
        return instances.Spec(
            backend=backend.name,
            image_id=image.id,
            image=image.name,
            image_ref=reference,
            flavor_id=flavor.id,
            flavor=flavor.name,
            vcpus=flavor.vcpus,
            ram_mb=flavor.ram_mb,
            disk_gb=flavor.disk_gb,
            command=body.command,
            args=body.args,
            env=body.env,
            secret_env=secret_env,
            ports=body.ports,
            restart_policy=body.restart_policy,
            power=body.power,
        )

    def changed_spec(
        self, spec: instances.Spec, body: schema.InstanceUpdate, box: secrets.SecretBox, *, deadline: float
    ) -> instances.Spec:
        """``spec`` with what ``body`` asks for; the backend stays.

        :raises InvalidRequest, NoBackend, Unsupported:
        """
        asked = body.asked()
        changes: dict[str, Any] = {name: asked[name] for name in _PLAIN if name in asked}
        if "image" in asked:
            changes.update(self._image(spec.backend, asked["image"], deadline))
        if "flavor" in asked:
            flavor = self._named(flavors.Flavors.entries, "flavor", asked["flavor"], deadline)
            changes.update(flavor_id=flavor.id, flavor=flavor.name)
            changes.update(vcpus=flavor.vcpus, ram_mb=flavor.ram_mb, disk_gb=flavor.disk_gb)
        if "secret_env" in asked:
            changes["secret_env"] = _merged(spec.secret_env, asked["secret_env"], box)
        changed = msgspec.structs.replace(spec, **changes)
        if {"command", "args", "env", "secret_env"} & set(changes):
            _check(changed, box)
        return changed

    def _image(self, name: str, ref: str, deadline: float) -> dict[str, str]:
        image = self._named(images.Images.entries, "image", ref, deadline)
        backend = self._loaded.get(name)
        if backend is None:
            raise errors.Unsupported(f"Backend {name!r} is not configured any more.")
        reference = images.reference(image, backend)
        if reference is None:
            reason = f"image {image.name!r} has no reference for {backend.driver_name!r}"
            raise errors.NoBackend(
                f"The instance's backend cannot run it: {reason}.",
                rejected=[{"backend": name, "reason": reason}],
            )
        return {"image_id": image.id, "image": image.name, "image_ref": reference}

    def _named(self, entries: records.Named[Any], field: str, ref: str, deadline: float) -> Any:
        found = entries.find(self._store, ref, deadline=deadline)
        if found is None:
            raise errors.InvalidRequest(
                f"There is no {field} {ref!r}.", errors=(errors.FieldError(f"/{field}", "is not there"),)
            )
        return found.value


def _merged(
    sealed: Mapping[str, str], asked: Mapping[str, str | None], box: secrets.SecretBox
) -> dict[str, str]:
    """``sealed`` with what was asked. A value that stays the same keeps its ciphertext, so the spec does too."""
    merged = dict(sealed)
    for name, value in asked.items():
        if value is None:
            merged.pop(name, None)
        elif name not in merged or workloads.unseal(merged[name], box) != value:
            merged[name] = workloads.seal(value, box)
    return merged


def _check(spec: instances.Spec, box: secrets.SecretBox) -> None:
    """The bounds that span several fields, some of which the request did not name."""
    secret_env = {name: workloads.unseal(value, box) for name, value in spec.secret_env.items()}
    try:
        schema.check_size("command and args", [*spec.command, *spec.args])
        schema.check_environment(spec.env, secret_env)
    except ValueError as error:
        raise errors.InvalidRequest(
            f"The request is not valid: {error}.", errors=(errors.FieldError("", str(error)),)
        ) from None
