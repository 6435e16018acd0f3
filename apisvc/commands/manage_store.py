"""``apisvc-manage store``: the store as a whole."""

import argparse
import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from oslo_config import cfg

from apisvc import errors, plugins
from apisvc.commands import assemble, entry, progress
from apisvc.conf import files
from apisvc.service import consistency, dump, layout, migration
from apisvc.storage import base as storage

#: Seconds that a store may take to look at, or to drop, all that it keeps.
PATIENCE = 600.0


def look_until(store: storage.Store) -> float | None:
    """The deadline of looking at all of ``store``; None: its own, as nothing is looked through across a network."""
    return None if store.remote else time.monotonic() + PATIENCE


def add(areas: Any) -> None:
    """Add the area to the parser's areas."""
    store = areas.add_parser("store", help="the store as a whole")
    actions = store.add_subparsers(metavar="ACTION", required=True)
    entry.command(actions, "check", _check, "whether it is sound, and all records agree with each other")
    out = entry.command(actions, "dump", _dump, "write all records, as they are at one revision")
    out.add_argument("file", help="where to; - is standard output")
    back = entry.command(actions, "restore", _restore, "read a dump into an empty store")
    back.add_argument("file", help="where from; - is standard input")
    less = entry.command(actions, "compact", _compact, "forget the history before a revision")
    less.add_argument(
        "--revision", type=int, help="keep from here on (default: the current one, so all history goes)"
    )
    move = entry.command(actions, "migrate", _migrate, "copy everything into another, empty store")
    move.add_argument(
        "--to-config",
        required=True,
        metavar="FILE",
        help="a configuration file whose [storage] and its driver's group name the other store",
    )
    move.add_argument(
        "--force", action="store_true", help="also while workers are alive, though the copy may be outdated"
    )


@contextlib.contextmanager
def opened(conf: cfg.ConfigOpts) -> Iterator[storage.Store]:
    """The configured store, closed at the end.

    :raises StartError: it cannot be had, or is not shared.
    """
    store = plugins.load_store(conf)
    try:
        assemble.require_shared(store, conf)
        yield store
    finally:
        store.close()


def _check(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    with opened(conf) as store:
        said = store.examine(deadline=look_until(store))
        if said is None or layout.look(store) is None:
            raise errors.StartError("the store is empty: there is nothing to check")
        count, found = consistency.check(store)
    for line in found:
        print(line)
    print(f"{count} records, {len(found)} wrong.")
    return entry.FAILED if found else 0


def _dump(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> None:
    with opened(conf) as store:
        if layout.look(store) is None:
            raise errors.StartError("the store is empty: there is nothing to dump")
        if arguments.file == "-":
            summary = dump.dump(store, sys.stdout.buffer, time.time())
            sys.stdout.buffer.flush()
        else:
            summary = _dump_to(store, pathlib.Path(arguments.file))
    print(f"Dumped {summary.records} records; SHA-256 {summary.sha256}.", file=sys.stderr)


def _dump_to(store: storage.Store, path: pathlib.Path) -> dump.Summary:
    """A file appears under its name only when it is complete."""
    scratch = path.with_name(path.name + ".part")
    try:
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            with progress.Bar("records") as bar:
                summary = dump.dump(store, file, time.time(), bar)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        raise errors.StartError(f"{path}: {error.strerror}") from None
    return summary


def _restore(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> None:
    with contextlib.ExitStack() as stack:
        try:
            if arguments.file == "-":
                file: BinaryIO = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(sys.stdin.buffer, file)
                file.seek(0)
            else:
                file = stack.enter_context(open(arguments.file, "rb"))
        except OSError as error:
            raise errors.StartError(f"{arguments.file}: {error.strerror}") from None
        bar = stack.enter_context(progress.Bar("records"))
        summary = dump.restore(stack.enter_context(opened(conf)), file, bar)
    print(f"Restored {summary.records} records; SHA-256 {summary.sha256}.", file=sys.stderr)


def _compact(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> None:
    with opened(conf) as store:
        if layout.look(store) is None:
            raise errors.StartError("the store is empty: there is nothing to compact")
        current = store.revision()
        revision = current if arguments.revision is None else arguments.revision
        if not 0 <= revision <= current:
            raise errors.StartError(
                f"--revision {revision}: the store is at {current}; valid: 0 to {current}"
            )
        store.compact(revision, deadline=time.monotonic() + PATIENCE)
    print(f"The history before revision {revision} is forgotten.", file=sys.stderr)


def _migrate(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> None:
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(opened(conf))
        target = stack.enter_context(opened(files.read(["--config-file", arguments.to_config])))
        bar = stack.enter_context(progress.Bar("records"))
        done = migration.migrate(source, target, force=arguments.force, progress=bar)
    print(
        f"Copied {done.records} records and the layout version; SHA-256 {done.sha256} in both stores.",
        file=sys.stderr,
    )
    if done.outdated:
        print("The source has been written to since: what came later is not in the copy.", file=sys.stderr)
