"""The rules of images."""

from apisvc.compute import base as compute
from apisvc.model import catalogue as model
from apisvc.model import keys
from apisvc.service import catalogue, records


class Images(catalogue.Catalogue[model.Image]):
    """The catalogue of what instances run."""

    entries = records.Named("image", model.Image, keys.IMAGES, keys.IMAGE_NAMES)


def reference(image: model.Image, backend: compute.LoadedBackend) -> str | None:
    """What ``backend`` knows the image by: the backend's own reference, else its driver's, else None."""
    return image.references.get(backend.name, image.references.get(backend.driver_name))
