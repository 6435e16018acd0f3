"""Shapes of what the service says about itself."""

from apisvc.schemas import base


class VersionView(base.View, frozen=True, kw_only=True):
    """A major version of the API, with the microversions that are served."""

    id: str
    status: str
    min_version: str
    version: str
    links: dict[str, str]


class Versions(base.View, frozen=True, kw_only=True):
    """All major versions."""

    versions: list[VersionView]


class Health(base.View, frozen=True, kw_only=True):
    """The process is alive."""

    status: str


class BackendReadiness(base.View, frozen=True, kw_only=True):
    """What was last found about a backend; ``healthy`` is null while no worker has looked."""

    name: str
    state: str
    healthy: bool | None


class Readiness(base.View, frozen=True, kw_only=True):
    """The service can do its work. An unhealthy backend does not keep it from that."""

    status: str
    store: str
    backends: list[BackendReadiness]
