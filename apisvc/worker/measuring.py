"""What the nodes of a backend have free, asked again and again, beside everything else.

In a thread of its own: a backend that is slow to tell its nodes is compared
with the store as often as others.
"""

import logging
import threading
from collections.abc import Callable

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import backends
from apisvc.service import context
from apisvc.worker import capacity
from apisvc.worker import site as sites

LOG = logging.getLogger(__name__)

#: Seconds until it is asked again whether it is this worker that looks at the backend.
PAUSE = 0.5


class Measuring:
    """For a backend whose driver has Nodes. ``is_ours``: whether it is this worker that looks at it now."""

    def __init__(
        self, site: sites.Site, clock: context.Clock, is_ours: Callable[[], bool], interval: float
    ) -> None:
        self._site = site
        self._clock = clock
        self._is_ours = is_ours
        self._interval = interval
        self._told = True
        #: As found last; None: not known.
        self.capacity: backends.Capacity | None = None

    def run(self, stop: threading.Event) -> None:
        """Until ``stop`` is set."""
        while not stop.is_set():
            pause = min(PAUSE, self._interval)
            try:
                if self._is_ours():
                    self.capacity = self._ask()
                    pause = self._interval
                else:
                    self.capacity = None
            except errors.ApisvcError as error:
                LOG.warning("Nodes of %s: %s", self._site.name, error.detail)
            except Exception:
                LOG.exception("The nodes of %s could not be summed up.", self._site.name)
                self.capacity, pause = None, self._interval
            stop.wait(pause)

    def _ask(self) -> backends.Capacity | None:
        """A backend that does not say what its nodes have (perhaps not to us) is healthy all the same."""
        try:
            nodes = self._site.nodes()
        except compute.DriverError as error:
            if self._told:
                LOG.warning("Backend %s does not tell its nodes: %s", self._site.name, error.message)
            self._told = False
            return None
        self._told = True
        return capacity.summary(nodes, self._clock.now())
