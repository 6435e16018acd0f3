"""``apisvc-manage``: what an operator does beside the API."""

import argparse
import datetime
import os
import pathlib
import sys
from collections.abc import Sequence

from oslo_config import cfg

from apisvc import errors
from apisvc.commands import assemble, entry, manage_adopt, manage_store
from apisvc.model import keys
from apisvc.service import bootstrap, context, layout, secrets

PROG = "apisvc-manage"


def main(argv: Sequence[str] | None = None) -> int:
    return entry.run(PROG, _run, argv)


def _run(argv: Sequence[str]) -> int | None:
    arguments = _parser().parse_args(argv)
    action: entry.Action = arguments.action
    return action(entry.configuration(arguments), arguments)


def _parser() -> argparse.ArgumentParser:
    parser = entry.parser(PROG, "Set up and look after a deployment of apisvc.")
    areas = parser.add_subparsers(metavar="COMMAND", required=True)

    made = entry.command(areas, "bootstrap", _bootstrap, "make the first admin, and print a token of it")
    made.add_argument("--user", default="admin", help="name of the admin (default: %(default)s)")
    made.add_argument("--new-token", action="store_true", help="make a token even if the admin has one")

    keys_area = areas.add_parser("keys", help="the keys that encrypt secrets in the store")
    on_keys = keys_area.add_subparsers(metavar="ACTION", required=True)
    entry.command(on_keys, "list", _list_keys, "list them; the last one encrypts")
    entry.command(
        on_keys, "rotate", _rotate_keys, "make a new key; the older ones still decrypt, so keep them"
    )

    manage_store.add(areas)
    manage_adopt.add(areas)
    return parser


def _bootstrap(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> None:
    folder = conf.secrets.key_directory
    if not _has_key(folder):
        _make_folder(conf.state_dir)
        with manage_store.opened(conf) as store:
            layout.ensure(store)
            if store.scan(keys.USERS, limit=1).records:
                secrets.load(
                    folder
                )  # its line says what to do; a new key would decrypt nothing of that store
        _add_key(folder)
        print(f"Made the first key in {folder}; every API and worker process needs it.", file=sys.stderr)
    assembly = assemble.assemble(conf)
    try:
        assemble.require_shared(assembly.store, conf)
        layout.ensure(assembly.store)
        admin = bootstrap.ensure_admin(
            context.system(name=PROG), assembly.services, name=arguments.user, anew=arguments.new_token
        )
    finally:
        assembly.close()
    if admin.token is None:
        print(
            f"The admin {admin.user.name} has a token already, which was shown when it was made. "
            "For another one: --new-token",
            file=sys.stderr,
        )
        return
    print(f"The admin is {admin.user.name}. This token is shown only now:", file=sys.stderr)
    print(admin.token)


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise errors.StartError(
            f"[DEFAULT] state_dir = {path}: {error.strerror}; make it, writable for this user, or set another"
        ) from None


def _has_key(folder: str) -> bool:
    try:
        return bool(secrets.key_numbers(folder))
    except OSError:
        return False  # whatever it is, loading or making a key says it


def _list_keys(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> None:
    folder = pathlib.Path(conf.secrets.key_directory)
    secrets.load(str(folder))
    numbers = secrets.key_numbers(str(folder))
    for number in numbers:
        made = datetime.datetime.fromtimestamp((folder / str(number)).stat().st_mtime, datetime.UTC)
        role = "encrypts" if number == numbers[-1] else "decrypts"
        print(f"{number}\t{made:%Y-%m-%dT%H:%M:%SZ}\t{role}")


def _rotate_keys(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> None:
    number = _add_key(conf.secrets.key_directory)
    print(f"Made key {number} in {conf.secrets.key_directory}.")
    print("Copy it to every host, then restart the API and the workers: each decrypts with all keys")
    print("and encrypts with the newest it has.")


def _add_key(folder: str) -> int:
    try:
        return secrets.add_key(folder)
    except OSError as error:
        raise errors.StartError(
            f"[secrets] key_directory = {folder}: {error.strerror}; "
            "make it writable for this user, or set another"
        ) from None
