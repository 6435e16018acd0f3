"""A deployment, and ``apisvc-manage`` at work on it."""

import testtools

from apisvc.commands import manage
from tests.unit import logs
from tests.unit.commands import deployment


class ManageCase(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.useFixture(logs.KeepLogging())
        self.here = self.useFixture(deployment.Deployment())

    def manage(self, *argv: str, stdin: bytes = b"") -> tuple[int, str, str]:
        return self.here.run(manage.main, *argv, stdin=stdin)
