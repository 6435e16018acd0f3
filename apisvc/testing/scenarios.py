"""Runs the scenarios of a suite one by one, and tells what became of each."""

import dataclasses
import enum
import fnmatch
import time
import traceback
import types
import unittest
from collections.abc import Callable, Iterator
from typing import Any


class Outcome(enum.StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNSUPPORTED = "unsupported"  # the driver says that it cannot
    NOT_RUN = "not run"  # nobody asked for it


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a scenario."""

    #: Its name, without ``test_``.
    scenario: str
    outcome: Outcome
    #: One line: why it failed, or is unsupported.
    reason: str = ""
    #: Of a failure: all of it, with the trace.
    detail: str = ""
    seconds: float = 0.0


def names(case: type[unittest.TestCase]) -> list[str]:
    """The names of the scenarios of a suite, without ``test_``."""
    return [name.removeprefix("test_") for name in unittest.TestLoader().getTestCaseNames(case)]


def run(
    case: type[unittest.TestCase],
    match: str | None = None,
    begin: Callable[[str], None] = lambda scenario: None,
) -> Iterator[Result]:
    """Run the scenarios whose name contains ``match`` (which may have ``*`` and ``?``), or all.

    ``begin`` is told the name of each one that is begun.
    """
    for name in names(case):
        if match is not None and not fnmatch.fnmatchcase(name, f"*{match}*"):
            yield Result(name, Outcome.NOT_RUN)
            continue
        begin(name)
        yield _run(case, name)


def _run(case: type[unittest.TestCase], name: str) -> Result:
    watcher = _Watcher()
    test = case(f"test_{name}")
    begun = time.monotonic()
    try:
        # A suite of one, because that also calls setUpClass.
        unittest.TestSuite([test]).run(watcher)
    finally:
        test.doCleanups()  # nothing is left to do, unless somebody pressed Ctrl-C
    seconds = round(time.monotonic() - begun, 3)
    if watcher.found:
        reason, detail = watcher.found[0]
        return Result(name, Outcome.FAILED, reason, detail, seconds)
    if watcher.skipped:
        return Result(name, Outcome.UNSUPPORTED, watcher.skipped[0][1], seconds=seconds)
    return Result(name, Outcome.PASSED, seconds=seconds)


class _Watcher(unittest.TestResult):
    """Keeps why a test failed, as one line and in full."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    # The names are unittest's; what it calls err is a triple of sys.exc_info().

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        self._keep(*err)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self._keep(*err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self._keep(*err)

    def _keep(
        self, kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
    ) -> None:
        text = " ".join(str(error).split())
        reason = text if kind is AssertionError and text else f"{kind.__name__}: {text}".removesuffix(": ")
        self.found.append((reason, "".join(traceback.format_exception(kind, error, trace))))
