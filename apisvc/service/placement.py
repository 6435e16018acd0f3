"""Which backend gets a new instance."""

from collections.abc import Mapping, Sequence

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import backends, catalogue, codec, keys
from apisvc.service import images, records
from apisvc.storage import base as storage

#: By backend name.
OperatorRecords = Mapping[str, codec.Versioned[backends.Backend]]


def operator_records(store: storage.Store, names: Sequence[str], *, deadline: float) -> OperatorRecords:
    """The operator's word on each of ``names`` that has one."""
    wanted = [keys.join(keys.BACKENDS, name) for name in names]
    found = records.get_many(store, wanted, backends.Backend, deadline=deadline)
    return {name: record for name, record in zip(names, found, strict=True) if record is not None}


def choose(
    store: storage.Store,
    loaded: Mapping[str, compute.LoadedBackend],
    image: catalogue.Image,
    wanted: str | None,
    *,
    deadline: float,
) -> tuple[compute.LoadedBackend, str]:
    """The backend for a new instance of ``image``, and the image's reference there.

    ``wanted``: the backend that was asked for by name; None: the first in the
    configured order that will do.

    :raises InvalidRequest: there is no backend of that name.
    :raises NoBackend: none will do; says why not for each.
    """
    if wanted is not None and wanted not in loaded:
        raise errors.InvalidRequest(
            f"There is no backend {wanted!r}.",
            errors=(
                errors.FieldError("/backend", f"must be one of: {', '.join(loaded) or 'none is configured'}"),
            ),
        )
    candidates = [wanted] if wanted is not None else list(loaded)
    operator = operator_records(store, candidates, deadline=deadline)
    rejected = []
    for name in candidates:
        backend = loaded[name]
        record = operator.get(name)
        reference = images.reference(image, backend)
        if record is not None and record.value.state is not backends.BackendState.ENABLED:
            rejected.append({"backend": name, "reason": f"it is {record.value.state.value}"})
        elif reference is None:
            rejected.append(
                {
                    "backend": name,
                    "reason": f"image {image.name!r} has no reference for {backend.driver_name!r}",
                }
            )
        else:
            return backend, reference
    raise errors.NoBackend(
        "No backend takes this instance: "
        + ("; ".join(f"{r['backend']}: {r['reason']}" for r in rejected) or "none is configured")
        + ".",
        rejected=rejected,
    )
