"""``python3 -m tools.kubernetes``, from the top of a checkout."""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

from tools import places
from tools.kubernetes import lab, node, programs


def main(arguments: Sequence[str]) -> int:
    options = _options().parse_args(arguments)
    try:
        return int(options.does(options) or 0)
    except places.LabError as error:
        print(f"kubernetes lab: {error}", file=sys.stderr)
        return 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.kubernetes", description="A real Kubernetes on this machine, for tests."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, does: object, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(does=does)
        return made

    command("get", _get, "Get the programs: build or unpack what the cache does not have yet.")
    for name, does, text in (
        ("up", _up, "Start the control plane, unless it runs."),
        ("node-up", _node_up, "Start its real node, unless it runs."),
        ("node-down", _node_down, "Take the real node away."),
        ("down", _down, "Take everything away."),
    ):
        made = command(name, does, text)
        made.add_argument("--name", default="lab", help="which of several labs (lab)")
        if name == "up":
            made.add_argument(
                "--kwok", type=int, default=0, metavar="N", help="with N nodes that only seem to be"
            )
        if name == "down":
            made.add_argument(
                "--all", action="store_true", help="all labs of this user, whoever started them"
            )
    run = command(
        "run", _run, "Run a command with KUBECONFIG set to a lab with a real node, for as long as it runs."
    )
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return parser


def _get(_: argparse.Namespace) -> None:
    print(programs.kubernetes().folder)
    print(programs.node().folder)


def _up(options: argparse.Namespace) -> None:
    made = lab.Lab(options.name)
    with _alone(made):
        made.up()
        if options.kwok:
            made.kwok_nodes(options.kwok)
    print(f"export KUBECONFIG={made.kubeconfig}")


def _node_up(options: argparse.Namespace) -> None:
    made = lab.Lab(options.name)
    with _alone(made):
        made.up()
        node.Node(made).up()
    print(f"export KUBECONFIG={made.kubeconfig}")


def _node_down(options: argparse.Namespace) -> None:
    made = lab.Lab(options.name)
    with _alone(made):
        node.Node(made).down()


def _down(options: argparse.Namespace) -> None:
    for made in lab.everyone() if options.all else [lab.Lab(options.name)]:
        with _alone(made):
            made.down()


@contextlib.contextmanager
def _alone(made: lab.Lab) -> Iterator[None]:
    """Two commands for one lab do not get into each other's way."""
    with places.locked(places.cache("kubernetes") / f"{made.folder.name}.lock"):
        yield


def _run(options: argparse.Namespace) -> int:
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise places.LabError("run what? It is: run -- COMMAND")
    if os.environ.get("KUBECONFIG"):
        print(f"KUBECONFIG is {os.environ['KUBECONFIG']}: on that cluster, without a lab", flush=True)
        return subprocess.run(command).returncode
    lab.sweep()
    made = lab.Lab(f"run{os.getpid()}")
    # What stops this stops the lab too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    try:
        made.own()
        made.up()
        node.Node(made).up()
        print(f"the lab is up: Kubernetes 1.{made.made_of.minor}, {made.folder}", flush=True)
        environment = {**os.environ, "KUBECONFIG": str(made.kubeconfig), "APISVC_TEST_LAB": made.name}
        return subprocess.run(command, env=environment).returncode
    finally:
        made.down()


sys.exit(main(sys.argv[1:]))
