"""Shapes of drivers."""

from typing import Annotated

import msgspec

from apisvc.schemas import base


class DriverView(base.View, frozen=True, kw_only=True):
    """The code for a kind of backend."""

    id: Annotated[str, msgspec.Meta(description="Its name.")]
    name: Annotated[str, msgspec.Meta(examples=["local"])]
    contract: Annotated[str, msgspec.Meta(description="The contract version that it was written for.")]
    capabilities: Annotated[tuple[str, ...], msgspec.Meta(examples=[["logs", "power"]])]
    backends: Annotated[list[str], msgspec.Meta(description="The backends that it serves.")]


class DriverList(base.View, frozen=True, kw_only=True):
    """The drivers in use."""

    drivers: list[DriverView]
    contract: Annotated[str, msgspec.Meta(description="The contract version of the service itself.")]
    next: None = None
