"""``apisvc-driver-check``: whether a driver, whoever wrote it, keeps the contract."""

import argparse
import collections
import dataclasses
import json
import logging
import re
import shutil
import sys
import tempfile
import unittest
from collections.abc import Iterable, Sequence
from typing import Any

from apisvc import __version__, errors, plugins
from apisvc.commands import driver_suites, entry
from apisvc.compute import base as compute
from apisvc.testing import scenarios

PROG = "apisvc-driver-check"

Outcome = scenarios.Outcome

KINDS = {"storage": plugins.STORAGE, "compute": plugins.COMPUTE}
_FIELDS = {field.name for field in dataclasses.fields(compute.Workload)} - {"id", "tenant"}


def main(argv: Sequence[str] | None = None) -> int:
    return entry.run(PROG, _run, argv)


def _run(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    # What a driver logs of the errors that a scenario provokes is no news.
    logging.basicConfig(level=logging.DEBUG if arguments.debug else logging.CRITICAL)
    kind = KINDS[arguments.kind]
    with tempfile.TemporaryDirectory(prefix="apisvc-check-") as folder:
        trial = driver_suites.TRIALS.get(arguments.name, driver_suites.COMMANDS)
        wanted = {**(trial.options if kind is plugins.COMPUTE else {}), **dict(arguments.option)}
        setup = driver_suites.Setup(kind, arguments.name, wanted, folder)
        if kind is plugins.STORAGE:
            case = driver_suites.storage_suite(setup)
        else:
            given = {n: getattr(arguments, n) for n in ("running", "exiting", "invalid")}
            trial = dataclasses.replace(trial, **{n: v for n, v in given.items() if v is not _UNSET})
            setup.compute("check").close()  # what is wrong with its options is one line, not one a scenario
            case = driver_suites.compute_suite(setup, trial, arguments.image, arguments.patience)
        results = _judge(case, arguments.match)
    report = Report(arguments.kind, arguments.name, setup.driver, results)
    print(json.dumps(report.document(), indent=2) if arguments.json else report.text())
    return entry.FAILED if report.count(Outcome.FAILED) else 0


def _judge(case: type[unittest.TestCase], match: str | None) -> list[scenarios.Result]:
    results = list(scenarios.run(case, match, _begin))
    _begin("")
    if all(result.outcome is Outcome.NOT_RUN for result in results):
        raise errors.StartError(f"--match {match}: no scenario has that in its name")
    return results


def _begin(scenario: str) -> None:
    """What is being run, in a line that goes away; for people only."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{scenario[:width]:{width}}", end="\r", file=sys.stderr, flush=True)


class Report:
    """What to tell of a driver."""

    def __init__(self, kind: str, name: str, driver: Any, results: Sequence[scenarios.Result]) -> None:
        self._head = {
            "kind": kind,
            "driver": name,
            "class": f"{driver.__module__}:{driver.__qualname__}",
            "contract": driver.contract,
            "apisvc": __version__,
        }
        self._parts = (
            {"shared": driver.shared}
            if kind == "storage"
            else {"capabilities": list(compute.capabilities(driver))}
        )
        self._results = [result for result in results if result.outcome is not Outcome.NOT_RUN]
        self._not_run = [result.scenario for result in results if result.outcome is Outcome.NOT_RUN]
        self._counts = collections.Counter(result.outcome for result in results)

    def count(self, outcome: Outcome) -> int:
        return self._counts[outcome]

    def document(self) -> dict[str, Any]:
        return {
            **self._head,
            **self._parts,
            "counts": {outcome.name.lower(): self.count(outcome) for outcome in Outcome},
            "scenarios": [dataclasses.asdict(result) for result in self._results],
            "not_run": self._not_run,
        }

    def text(self) -> str:
        failed = [result for result in self._results if result.outcome is Outcome.FAILED]
        counts = ", ".join(f"{self.count(outcome)} {outcome}" for outcome in Outcome)
        head = "{kind} driver {driver}: {class}, contract {contract}, apisvc {apisvc}".format(**self._head)
        return "\n".join(
            [
                head,
                "",
                *_table((r.scenario, r.outcome.value, _cut(r.reason)) for r in self._results),
                "",
                *(f"FAILED {result.scenario}\n{result.detail}" for result in failed),
                *(
                    ["NOT RUN, by --match", *(f"  {name}" for name in self._not_run), ""]
                    if self._not_run
                    else []
                ),
                f"{counts}.",
            ]
        )


def _table(rows: Iterable[tuple[str, str, str]]) -> list[str]:
    lines = [("SCENARIO", "RESULT", "REASON"), *rows]
    first, second = (max(len(line[column]) for line in lines) for column in (0, 1))
    return [f"{a:{first}}  {b:{second}}  {c}".rstrip() for a, b, c in lines]


def _cut(text: str, length: int = 100) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


# The command line

_UNSET: Any = object()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        PROG, description="Run the suite that apisvc ships against an installed driver."
    )
    parser.add_argument("--version", action="version", version=f"{PROG} {__version__}")
    parser.add_argument("--debug", action="store_true", help="log what happens")
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    store = kinds.add_parser(
        "storage",
        help="a storage driver",
        description="The store must be empty; everything in it is deleted after each scenario.",
    )
    backend = kinds.add_parser(
        "compute",
        help="a compute driver",
        description="What the suite makes on the backend bears an owner of its own, and is deleted again. "
        "What runs there is said as the fields of a workload, in JSON.",
    )
    for one in (store, backend):
        one.add_argument("name", metavar="NAME", help="the driver's entry point")
        one.add_argument(
            "--option",
            action="append",
            default=[],
            type=_option,
            metavar="KEY=VALUE",
            help="an option of the driver, as in its group of apisvc.conf; may be given several times. "
            "$state_dir is a folder that goes away with the check",
        )
        one.add_argument(
            "--match", metavar="TEXT", help="run only scenarios with TEXT in their name (* and ? count)"
        )
        one.add_argument("--json", action="store_true", help="print one JSON object")
    backend.add_argument("--image", default="host", help="reference of an image there (default: %(default)s)")
    backend.add_argument(
        "--running",
        type=_fields,
        default=_UNSET,
        metavar="JSON",
        help="what prints the lines one, two, three and then runs until it is stopped (default: a shell that does)",
    )
    backend.add_argument(
        "--exiting",
        type=_fields_or_null,
        default=_UNSET,
        metavar="JSON",
        help="what ends with the exit code that is put for {code}; null: nothing ends by itself there",
    )
    backend.add_argument(
        "--invalid",
        type=_fields,
        default=_UNSET,
        metavar="JSON",
        help="what the backend refuses (default: a program that nobody has)",
    )
    backend.add_argument(
        "--patience",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="what the backend may take for any one thing (default: %(default)s)",
    )
    return parser


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z0-9_-]+", name) or "\n" in value:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return name.replace("-", "_"), value


def _fields(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON: {error}") from None
    if not isinstance(read, dict) or not read.keys() <= _FIELDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no object with fields of {', '.join(sorted(_FIELDS))}")
    return read


def _fields_or_null(text: str) -> dict[str, Any] | None:
    return None if text.strip() == "null" else _fields(text)
