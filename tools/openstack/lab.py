#!/usr/bin/env python3
"""A real OpenStack on loopback, for the tests: see the README beside this file."""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

if __name__ == "__main__":
    # As a script it is found without being installed; its own folder hides nobody's modules.
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[2])

from tools import places, processes
from tools.openstack import configs, databases, install, layout, services


def running() -> layout.Lab:
    """The lab of this checkout, or the one that the environment names."""
    folder = layout.folder()
    if not (folder / "lab.json").exists():
        raise places.LabError(f"no lab in {folder}: bring it up with tools/openstack/lab.py up")
    return layout.Lab(folder, install.installed())


def up() -> layout.Lab:
    """Bring up what is not; returns when a server could be made."""
    folder = layout.folder()
    with layout.alone(folder):
        installed = install.installed()
        if not (folder / "lab.json").exists():
            _new(folder, databases.prepared(installed))
        lab = layout.Lab(folder, installed)
        configs.write(lab)
        services.up(lab)
    return lab


def _new(folder: pathlib.Path, prepared: pathlib.Path) -> None:
    """The folder of a new lab, on a copy of the databases."""
    _clear(folder)
    folder.mkdir(mode=0o700)
    layout.Lab.lay(folder, prepared)


def _clear(folder: pathlib.Path) -> None:
    processes.kill(folder)
    if folder.exists():
        if folder.stat().st_uid != os.getuid():
            raise places.LabError(f"{folder} is somebody else's")
        shutil.rmtree(folder)


def down() -> None:
    """Nothing is left: no process, no file but the cache."""
    folder = layout.folder()
    with layout.alone(folder):
        _clear(folder)


def run(command: list[str]) -> int:
    """``command`` with the lab up, and down afterwards; its exit code. With ``OS_CLOUD`` set: on that cloud."""
    if os.environ.get("OS_CLOUD"):
        print(f"using the cloud {os.environ['OS_CLOUD']}", flush=True)
        return subprocess.run(command).returncode
    # Whoever waits for the end of this process takes the lab down, so that nothing kills both.
    watching, held = os.pipe()
    watcher = subprocess.Popen(
        [sys.executable, __file__, "down", "--after-stdin"], stdin=watching, start_new_session=True
    )
    os.close(watching)
    try:
        begin = time.monotonic()
        lab = up()
        print(f"the lab is up after {time.monotonic() - begin:.0f} s", flush=True)
        return subprocess.run(command, env={**os.environ, **exports(lab)}).returncode
    finally:
        os.close(held)
        watcher.wait()


def exports(lab: layout.Lab) -> dict[str, str]:
    """What a client of the lab has in its environment."""
    return {"OS_CLIENT_CONFIG_FILE": str(lab.clouds), "OS_CLOUD": "lab", layout.FOLDER: str(lab.folder)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="bring it up; what runs is left as it is")
    after = commands.add_parser("down", help="take it down, and leave nothing")
    after.add_argument("--after-stdin", action="store_true", help="when standard input is closed")
    commands.add_parser("env", help="print the exports that a client needs")
    commands.add_parser("status", help="print each service and its processes")
    around = commands.add_parser("run", help="bring it up, run a command, take it down; or use $OS_CLOUD")
    around.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    deeds = {
        "start": services.start,
        "restart": services.restart,
        "kill": lambda lab, name: processes.kill(lab.folder, name),
        "freeze": lambda lab, name: processes.freeze(lab.folder, name),
        "thaw": lambda lab, name: processes.thaw(lab.folder, name),
    }
    for name, said in (
        ("start", "start one and wait until it is ready"),
        ("restart", "kill one, and start it again"),
        ("kill", "SIGKILL for one"),
        ("freeze", "SIGSTOP for one: it accepts connections and never answers"),
        ("thaw", "let one go on"),
    ):
        commands.add_parser(name, help=said).add_argument("service", choices=services.ALL, metavar="SERVICE")
    chosen = parser.parse_args()
    if chosen.command == "up":
        up()
    elif chosen.command == "down":
        if chosen.after_stdin:
            sys.stdin.buffer.read()
        down()
    elif chosen.command == "run":
        return run(chosen.arguments[1:] if chosen.arguments[:1] == ["--"] else chosen.arguments)
    elif chosen.command == "env":
        print("export " + " ".join(f"{name}={value}" for name, value in exports(running()).items()))
    elif chosen.command == "status":
        lab = running()
        for name in services.ALL:
            print(f"{name:20} {' '.join(map(str, processes.find(lab.folder, name))) or 'down'}")
    else:
        deeds[chosen.command](running(), chosen.service)
    return 0


if __name__ == "__main__":
    # The end of whoever asked for the lab must not leave half of it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        sys.exit(main())
    except places.LabError as error:
        sys.exit(f"lab: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
