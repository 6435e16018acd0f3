"""Keeps what a command sets up of logging from the tests that follow in the same process."""

import logging

import fixtures


class KeepLogging(fixtures.Fixture):
    """The root logger is as it was, afterwards."""

    def _setUp(self) -> None:
        root = logging.getLogger()
        handlers, level = list(root.handlers), root.level

        def restore() -> None:
            root.handlers[:] = handlers
            root.setLevel(level)

        self.addCleanup(restore)
