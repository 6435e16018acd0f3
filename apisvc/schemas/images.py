"""Shapes of images."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from apisvc.model import catalogue, codec
from apisvc.schemas import base

_KEY_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$(?!\n)"
base.EXPLAINED[_KEY_PATTERN] = "the name of a driver or of a backend"

ReferenceKey = Annotated[
    str, msgspec.Meta(description="The name of a driver or of a backend.", pattern=_KEY_PATTERN)
]
Reference = Annotated[
    str,
    msgspec.Meta(description="What the driver knows the image by.", min_length=1, max_length=1024),
]
References = Annotated[
    dict[ReferenceKey, Reference],
    msgspec.Meta(
        description="By name of a driver, or of a backend where one needs another, what it knows the image by.",
        max_length=64,
        examples=[{"local": "host", "kubernetes": "busybox:1.36"}],
    ),
]


class ImageCreate(base.Body, frozen=True, kw_only=True):
    """A new image."""

    name: base.Name
    description: base.Description = ""
    references: References


class ImageUpdate(base.Body, frozen=True, kw_only=True):
    """What to change; ``references`` is replaced as a whole. Instances keep what they were made with."""

    name: base.Name | msgspec.UnsetType = msgspec.UNSET
    description: base.Description | msgspec.UnsetType = msgspec.UNSET
    references: References | msgspec.UnsetType = msgspec.UNSET


class ImageView(base.View, frozen=True, kw_only=True):
    """An image as administrators see it."""

    id: base.Id
    name: base.Name
    description: base.Description
    references: References
    created_at: base.Timestamp
    updated_at: base.Timestamp
    revision: base.Revision


class ImageList(base.View, frozen=True, kw_only=True):
    """A page of images."""

    images: list[ImageView]
    next: str | None


class TenantImageView(base.View, frozen=True, kw_only=True):
    """An image as tenants see it."""

    id: base.Id
    name: base.Name
    description: base.Description
    backends: Annotated[Sequence[str], msgspec.Meta(description="The backends it can be used on.")]
    created_at: base.Timestamp
    updated_at: base.Timestamp
    revision: base.Revision


class TenantImageList(base.View, frozen=True, kw_only=True):
    """A page of images as tenants see them."""

    images: list[TenantImageView]
    next: str | None


def view(found: codec.Versioned[catalogue.Image]) -> ImageView:
    """An image as administrators see it."""
    image = found.value
    return ImageView(
        id=image.id,
        name=image.name,
        description=image.description,
        references=image.references,
        created_at=base.timestamp(image.created_at),
        updated_at=base.timestamp(image.updated_at),
        revision=found.revision,
    )


def tenant_view(found: codec.Versioned[catalogue.Image], backends: Sequence[str]) -> TenantImageView:
    """An image as tenants see it; ``backends``: where it can be used."""
    image = found.value
    return TenantImageView(
        id=image.id,
        name=image.name,
        description=image.description,
        backends=backends,
        created_at=base.timestamp(image.created_at),
        updated_at=base.timestamp(image.updated_at),
        revision=found.revision,
    )
