"""All that there is of one instance, what it means, and what is to be done next. Pure."""

import dataclasses
import enum

from apisvc.compute import base
from apisvc.compute.kubernetes import anchors, seen

Phase = base.Phase


class Next(enum.Enum):
    NOTHING = "nothing"
    DELETE_POD = "delete the pod"
    CREATE_POD = "make the pod that the anchor holds"
    DROP_ANCHOR = "delete the anchor, its wish is fulfilled"


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """Of one instance: its pod, if there is one, and its anchor, if there is one."""

    pod: seen.Pod | None = None
    anchor: anchors.Anchor | None = None
    #: Why the next step cannot be taken.
    trouble: base.DriverError | None = None

    def __bool__(self) -> bool:
        return self.pod is not None or self.anchor is not None

    def observed(self) -> base.Observed | None:
        """In the contract's words; None: there is nothing."""
        pod, anchor = self.pod, self.anchor
        if anchor is None or (pod and self.next() is Next.DROP_ANCHOR):
            return pod.observed if pod else None
        resting = Phase.STOPPING if pod else Phase.STOPPED
        phase = resting if anchor.power == "stopped" else anchor.phase
        reason, message = anchor.reason, _MESSAGES.get(anchor.reason, "")
        if self.trouble is not None:
            reason, message = type(self.trouble).__name__, self.trouble.message
            phase = phase if self.trouble.retryable else Phase.FAILED
        return base.Observed(
            tag=anchor.tag,
            phase=phase,
            handle=pod.uid if pod else None,
            node=pod.observed.node if pod else None,
            reboots=anchor.reboots,
            reason=reason,
            message=message,
        )

    def next(self) -> Next:
        """The next step towards what is wished already; the wish itself is made elsewhere."""
        pod, anchor = self.pod, self.anchor
        if pod and pod.terminating:
            return Next.NOTHING
        if anchor is None:
            # What its node gave up is made anew: the worker does so when it is gone.
            return Next.DELETE_POD if pod and pod.lost else Next.NOTHING
        if anchor.power == "stopped":
            return Next.DELETE_POD if pod else Next.NOTHING
        if pod is None:
            return Next.CREATE_POD if anchor.manifest else Next.NOTHING
        return Next.DELETE_POD if pod.uid == anchor.replaces else Next.DROP_ANCHOR


#: Anchor reasons; tenants read them.
RECREATED = "Recreated"
_MESSAGES = {
    RECREATED: "Kubernetes cannot change this in place; the pod is made anew.",
}
