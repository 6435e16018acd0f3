"""Shapes of credentials of backends."""

from typing import Annotated

import msgspec

from apisvc.compute import base as compute
from apisvc.schemas import base

_Seconds = Annotated[
    int,
    msgspec.Meta(
        description="How long it is good; the default and the maximum are the service's.",
        ge=1,
        examples=[3600],
    ),
]


class CredentialCreate(base.Body, frozen=True, kw_only=True):
    """A new credential. It allows there what your role in the tenant allows."""

    seconds: _Seconds | None = None


class CredentialView(base.View, frozen=True, kw_only=True):
    """A credential that is good now, without its content."""

    id: base.Id
    kind: Annotated[str, msgspec.Meta(description="kubeconfig, clouds.yaml, ...")]
    expires_at: base.Timestamp


class CredentialList(base.View, frozen=True, kw_only=True):
    """The credentials of a tenant on a backend."""

    credentials: list[CredentialView]
    #: All of them are on the one page.
    next: None = None


class CredentialMade(CredentialView, frozen=True, kw_only=True):
    """A new credential with its content."""

    content: Annotated[
        str,
        msgspec.Meta(
            description="The text of the file. Keep it now: it is kept nowhere and not shown again."
        ),
    ]


def view(credential: compute.Credential) -> CredentialView:
    return CredentialView(
        id=credential.id, kind=credential.kind, expires_at=base.timestamp(credential.expires_at)
    )


def made_view(credential: compute.Credential) -> CredentialMade:
    return CredentialMade(**msgspec.structs.asdict(view(credential)), content=credential.content)
