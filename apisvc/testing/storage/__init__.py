"""The contract of :mod:`apisvc.storage.base` as tests, for every storage driver.

A driver's package runs all of it like this::

    import unittest
    import uuid

    from apisvc.testing import storage


    class TestMyStore(storage.StorageSuite, unittest.TestCase):
        def make_store(self):
            self.prefix = str(uuid.uuid4())
            return self.another_handle()

        def another_handle(self):
            return MyStore(storage.group(MyStore, "mystore", url=URL, prefix=self.prefix))

What a driver cannot do it says in :attr:`~.harness.Harness.cannot`, by the name
of the scenario and with a reason (``cannot = storage.limitations(MyStore)`` is
what follows from ``shared``). Nothing else is skipped, and a name that is no
scenario fails. Where all scenarios share one server, each cleans up after
itself with ``self.addCleanup(storage.empty, store)``. Needs ``hypothesis``.

An installed driver is judged by the same suite from the command line, with
``apisvc-driver-check``.
"""

from collections.abc import Mapping

from apisvc.storage import base
from apisvc.testing.case import group
from apisvc.testing.storage import (
    agreeing,
    committing,
    harness,
    leasing,
    racing,
    reading,
    sharing,
    watching,
)
from apisvc.testing.storage.harness import empty


class StorageSuite(
    reading.Reading,
    committing.Committing,
    watching.Watching,
    leasing.Leasing,
    sharing.Sharing,
    racing.Racing,
    agreeing.Agreeing,
):
    """Every scenario. Combine it with ``unittest.TestCase``; see the package."""


def limitations(driver: type[base.Store]) -> Mapping[str, str]:
    """The scenarios that ``driver`` says it cannot pass, each with the reason: for ``cannot``."""
    if driver.shared:
        return {}
    reason = "its data is not shared (shared = False)"
    own = set(sharing.Sharing.scenarios()) - set(harness.Harness.scenarios())
    return dict.fromkeys(sorted(own), reason)


__all__ = ["StorageSuite", "empty", "group", "harness", "limitations", "sharing"]
