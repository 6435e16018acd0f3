"""From what a request names to a spec with everything resolved and copied."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import catalogue, codec, instances, keys
from apisvc.schemas import instances as schema
from apisvc.service import flavors, images, placement, records, secrets, workloads
from apisvc.storage import base as storage

T = TypeVar("T")

#: Fields of a spec that a PATCH takes as they are.
_PLAIN = (
    "command",
    "args",
    "env",
    "ports",
    "ssh_key",
    "networks",
    "security_groups",
    "public_address",
    "restart_policy",
)


#: Fields of a spec that are those of a request, and that not every driver takes.
_OPTIONAL = compute.OPTIONAL_FIELDS


class Resolved(msgspec.Struct, frozen=True):
    """A new instance of which all is known but where."""

    #: Without backend and image reference.
    spec: instances.Spec
    wish: placement.Wish
    candidates: Mapping[str, placement.Candidate]

    def place(self, tenant_id: str, own: Mapping[str, int]) -> tuple[instances.Spec, placement.Decision]:
        """The complete spec, for a tenant that has ``own`` instances on the backends, and why there.

        :raises InvalidRequest, NoBackend:
        """
        decision = placement.choose(self.candidates, self.wish, tenant_id, own)
        spec = msgspec.structs.replace(self.spec, backend=decision.backend.name, image_ref=decision.reference)
        return spec, decision


class Resolver:
    """Looks up images, flavors and backends. They are copied, so nothing of them is guarded."""

    def __init__(self, store: storage.Store, loaded: Mapping[str, compute.LoadedBackend]) -> None:
        self._store = store
        self._loaded = loaded

    def resolve(
        self, body: schema.InstanceCreate, secret_env: dict[str, str], user_data: str, *, deadline: float
    ) -> "Resolved":
        """What a new instance needs to be placed; ``secret_env`` and ``user_data`` are sealed already.

        PERF: one read for what it names by name, one for all records.

        :raises InvalidRequest: the image or the flavor is not there.
        """
        image_id, flavor_id = self._ids(
            (images.Images.entries, body.image), (flavors.Flavors.entries, body.flavor), deadline=deadline
        )
        wanted = [keys.join(keys.IMAGES, image_id or "-"), keys.join(keys.FLAVORS, flavor_id or "-")]
        found = records.get_raw(self._store, [*wanted, *placement.keys_of(self._loaded)], deadline=deadline)
        image = _there(found, wanted[0], "image", body.image, catalogue.Image)
        flavor = _there(found, wanted[1], "flavor", body.flavor, catalogue.Flavor)
        asked = {name: getattr(body, name) for name in _OPTIONAL.intersection(body.__struct_fields__)}
        spec = instances.Spec(
            **{**asked, "secret_env": secret_env, "user_data": user_data},
            backend="",
            image_id=image.id,
            image=image.name,
            image_ref="",
            flavor_id=flavor.id,
            flavor=flavor.name,
            vcpus=flavor.vcpus,
            ram_mb=flavor.ram_mb,
            disk_gb=flavor.disk_gb,
            restart_policy=body.restart_policy,
            power=body.power,
        )
        wish = placement.Wish(
            image=image,
            vcpus=spec.vcpus,
            ram_mb=spec.ram_mb,
            disk_gb=spec.disk_gb,
            fields=placement.set_fields(spec),
            backend=body.backend,
            driver=body.driver,
            requires=body.requires,
        )
        return Resolved(spec, wish, placement.candidates(self._loaded, found))

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
        if "user_data" in asked:
            changes["user_data"] = _resealed(spec.user_data, asked["user_data"], box)
        changed = msgspec.structs.replace(spec, **changes)
        self._require_accepted(spec, changed)
        if {"command", "args", "env", "secret_env"} & set(changes):
            _check(changed, box)
        return changed

    def _require_accepted(self, before: instances.Spec, after: instances.Spec) -> None:
        """The instance stays where it is, so its driver must take what is set anew."""
        backend = self._loaded.get(before.backend)
        anew = [name for name in placement.set_fields(after) if getattr(after, name) != getattr(before, name)]
        reason = backend and placement.refusal(backend.driver, backend.driver_name, anew)
        if backend is None or not reason:
            return
        refused = sorted(set(anew) - backend.driver.accepts)
        raise errors.Unsupported(
            f"The instance's backend {backend.name!r} cannot: {reason}.",
            errors=tuple(errors.FieldError(f"/{name}", "is not taken there") for name in refused),
        )

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

    def _ids(self, *wanted: tuple[records.Named[Any], str], deadline: float) -> list[str | None]:
        """What each id or name stands for, in one read; None: no name in use."""
        names = [entries.name_key(ref) for entries, ref in wanted]
        asked = [name for name in names if name is not None]
        found = self._store.get(asked, deadline=deadline).records if asked else {}
        ids: list[str | None] = []
        for (_, ref), name in zip(wanted, names, strict=True):
            entry = found.get(name) if name is not None else None
            ids.append(
                ref.lower() if records.is_id(ref) else codec.decode(entry.value, str) if entry else None
            )
        return ids

    def _named(self, entries: records.Named[Any], field: str, ref: str, deadline: float) -> Any:
        found = entries.find(self._store, ref, deadline=deadline)
        if found is None:
            raise _missing(field, ref)
        return found.value


def _there(found: Mapping[str, storage.Record], key: str, field: str, ref: str, kind: type[T]) -> T:
    record = found.get(key)
    if record is None:
        raise _missing(field, ref)
    return codec.decode(record.value, kind)


def _missing(field: str, ref: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(
        f"There is no {field} {ref!r}.", errors=(errors.FieldError(f"/{field}", "is not there"),)
    )


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


def _resealed(sealed: str, asked: str, box: secrets.SecretBox) -> str:
    """``asked`` encrypted; the same ciphertext as before when it is the same."""
    if not asked or (sealed and workloads.unseal(sealed, box) == asked):
        return sealed if asked else ""
    return workloads.seal(asked, box)


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
