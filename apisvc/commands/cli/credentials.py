"""``apisvc credential ...``: files by which a backend's own tools reach what a tenant has there."""

import os
import pathlib
from collections.abc import Iterable

from apisvc.commands.cli import base, exits

FIELDS = {"id": "id", "kind": "kind", "expires_at": "expires_at"}


class Create(base.Command):
    """Get a credential of a backend, which is shown only now."""

    epilog = (
        "example: apisvc credential create east --output kubeconfig; KUBECONFIG=kubeconfig kubectl get pods"
    )

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("backend", help="The backend's name.")
        parser.add_argument("--seconds", type=int, metavar="N", help="How long it is good.")
        parser.add_argument(
            "--output",
            metavar="FILE",
            help="Write it into this file, which only you can read, instead of to standard output.",
        )
        return parser

    def take_action(self, parsed_args: base.Options) -> None:
        path = pathlib.Path(parsed_args.output) if parsed_args.output else None
        if path is not None:
            _writable(path)
        made = self.api.credentials.create(
            self.tenant, parsed_args.backend, **base.given(parsed_args, "seconds")
        )
        if path is None:
            self.app.stdout.write(made["content"])
        else:
            _write(path, made["content"])
        self.app.stderr.write(f"{made['kind']} {made['id']}, good until {made['expires_at']}.\n")


def _writable(path: pathlib.Path) -> None:
    """What is shown once must not be asked for when there is no place for it."""
    if path.is_dir() or not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise exits.UsageError(f"--output {path}: cannot be written.")


def _write(path: pathlib.Path, content: str) -> None:
    """The file has its mode before it has its content."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(content)
        fresh.replace(path)
    except OSError as error:
        raise exits.UsageError(
            f"--output {path}: {error.strerror}. The credential is made and lost; revoke it."
        ) from None


class Listing(base.List):
    """List the credentials of a backend that are good now."""

    fields = FIELDS

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("backend", help="The backend's name.")
        return parser

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        return self.api.credentials.list(self.tenant, options.backend)


class Revoke(base.Command):
    """Have a backend refuse a credential from now on."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("backend", help="The backend's name.")
        parser.add_argument("credential", help="Its id.")
        return parser

    def take_action(self, parsed_args: base.Options) -> None:
        self.api.credentials.revoke(self.tenant, parsed_args.backend, parsed_args.credential)
