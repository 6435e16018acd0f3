"""Shapes of dry runs: what would come of a create."""

from typing import Annotated

import msgspec

from apisvc.schemas import base, instance_views, quotas


class RankedView(base.View, frozen=True, kw_only=True):
    """A backend that would take the instance."""

    backend: str
    score: Annotated[
        float, msgspec.Meta(description="The highest gets it: weight * free / (1 + instances + own).")
    ]
    weight: Annotated[int, msgspec.Meta(description="The operator's.")]
    own: Annotated[int, msgspec.Meta(description="Instances of the tenant there.")]
    instances: Annotated[
        int | None,
        msgspec.Meta(description="Instances of all tenants there, at the last look; null but for admins."),
    ]
    free: Annotated[
        float | None,
        msgspec.Meta(
            description="The share of its scarcest amount that would be left; null: not known (it counts as one "
            "half), or not told, as only admins are."
        ),
    ]


class RejectedView(base.View, frozen=True, kw_only=True):
    """A backend that would not."""

    backend: str
    reason: str


class QuotaPlanView(base.View, frozen=True, kw_only=True):
    """The tenant's limits, and what it uses of them without and with the instance."""

    limits: quotas.Limits
    before: quotas.Amounts
    after: quotas.Amounts


class PlanView(base.View, frozen=True, kw_only=True):
    """What a create would have done at this moment; nothing was changed."""

    backend: Annotated[str, msgspec.Meta(description="Where it would be.")]
    spec: Annotated[instance_views.SpecView, msgspec.Meta(description="What would be recorded.")]
    ranked: Annotated[
        list[RankedView], msgspec.Meta(description="The backends that would take it, the best first.")
    ]
    rejected: Annotated[
        list[RejectedView], msgspec.Meta(description="Those that would not, in the configured order.")
    ]
    quota: QuotaPlanView
    revision: Annotated[int, msgspec.Meta(description="The store's, at or after which this was found.", ge=0)]
