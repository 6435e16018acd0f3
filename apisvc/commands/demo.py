"""What ``apisvc-dev`` keeps on this host, and the tenant, users and catalogue it begins with."""

import contextlib
import fcntl
import json
import os
import pathlib
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

from apisvc import errors
from apisvc.commands import assemble
from apisvc.model import identity, users
from apisvc.schemas import flavors, images
from apisvc.service import bootstrap, context, services, tokens
from apisvc.service import secrets as service_secrets

TENANT = "demo"
ADMIN = "admin"
USER = "demo"

_FLAVORS = (
    flavors.FlavorCreate(name="tiny", description="For trying things", vcpus=1, ram_mb=256, disk_gb=1),
    flavors.FlavorCreate(name="small", description="For something real", vcpus=1, ram_mb=1024, disk_gb=5),
    flavors.FlavorCreate(name="medium", description="For something big", vcpus=2, ram_mb=4096, disk_gb=20),
)
_IMAGES = (
    images.ImageCreate(
        name="host",
        description="This host itself: the command is one of its programs",
        references={"local": "host", "fake": "host"},
    ),
    images.ImageCreate(
        name="date",
        description="A program that prints the time and ends",
        references={"local": "/bin/date", "fake": "date"},
    ),
)


class State:
    """A folder with the configuration, the keys, the store and the tokens of one development service."""

    def __init__(self, folder: pathlib.Path) -> None:
        """:raises StartError: the folder cannot be made or written."""
        self.folder = folder
        self.config = folder / "apisvc.conf"
        self._tokens = folder / "tokens.json"
        with _explained(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write_config(self, driver: str) -> None:
        """The configuration, unless it is there: people may change it. ``driver``: of the store."""
        if self.config.exists():
            return
        text = (
            "# Made by apisvc-dev; change what you like, or remove it to have it made again.\n"
            "[DEFAULT]\n"
            f"state_dir = {str(self.folder).replace('$', '$$')}\n"
            "deployment = dev\n"
            "enabled_backends = local\n\n"
            f"[storage]\ndriver = {driver}\n\n"
            "[local]\ndriver = local\n"
        )
        with _explained(self.folder):
            _write(self.config, text)

    def ensure_keys(self, folder: str) -> None:
        """Make the first encryption key, unless there is one."""
        with _explained(pathlib.Path(folder)):
            path = pathlib.Path(folder)
            if not path.is_dir() or not service_secrets.key_numbers(folder):
                service_secrets.add_key(folder)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Held by one process at a time; the others wait."""
        with _explained(self.folder), open(self.folder / "lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def claim_terminal(self) -> bool:
        """Whether this process, of several on one folder, is the one that shall print; until it ends."""
        with _explained(self.folder):
            self._terminal = open(self.folder / "terminal", "w")  # noqa: SIM115 (kept open: the lock lies on it)
        try:
            fcntl.flock(self._terminal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def tokens(self) -> dict[str, str]:
        """The texts of the seeded tokens by user; empty when there are none (or the file was spoilt)."""
        try:
            found = json.loads(self._tokens.read_bytes())
            return {name: str(found[name]) for name in (ADMIN, USER)}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def keep_tokens(self, texts: dict[str, str]) -> None:
        """Tokens are shown once; here their texts survive a restart, for the owner's eyes only."""
        with _explained(self.folder):
            _write(self._tokens, json.dumps(texts, indent=1) + "\n")


def seed(assembly: assemble.Assembly, state: State) -> dict[str, str]:
    """The tokens of the seeded users, by user name, everything they need made if need be.

    What people changed or removed stays so, as long as both tokens are good.
    A crash at any point is made good by the next start.
    """
    texts = state.tokens()
    if texts and all(_good(assembly, text) for text in texts.values()):
        return texts
    texts = {name: users.TOKEN_PREFIX + secrets.token_urlsafe(32) for name in (ADMIN, USER)}
    state.keep_tokens(texts)
    _make(assembly.services, texts)
    return texts


def _good(assembly: assemble.Assembly, text: str) -> bool:
    for driver in assembly.auth_drivers:
        with contextlib.suppress(errors.Unauthenticated):
            if driver.authenticate({"X-AUTH-TOKEN": text}, deadline=time.monotonic() + 30):
                return True
    return False


def _make(all_of: services.Services, texts: dict[str, str]) -> None:
    ctx = context.system(name="apisvc-dev")
    _once(all_of.users.create, ctx, name=USER, description="A member of the tenant demo")
    _once(all_of.tenants.create, ctx, name=TENANT, description="A tenant to try things in")
    for flavor in _FLAVORS:
        _once(all_of.flavors.create, ctx, flavor)
    for image in _IMAGES:
        _once(all_of.images.create, ctx, image)
    tenant = all_of.tenants.get(ctx, TENANT).value
    all_of.members.put(ctx, tenant.id, USER, identity.Role.MANAGER)
    user = all_of.users.get(ctx, USER).value
    all_of.tokens.create(ctx, user.id, tokens.Grant(name="apisvc-dev"), text=texts[USER])
    bootstrap.ensure_admin(ctx, all_of, name=ADMIN, text=texts[ADMIN])


def _once(create: Callable[..., Any], *args: Any, **fields: Any) -> None:
    with contextlib.suppress(errors.AlreadyExists):
        create(*args, **fields)


def _write(path: pathlib.Path, text: str) -> None:
    """All of it or nothing, readable by the owner alone."""
    # Under gunicorn several processes begin on one folder at once.
    scratch = path.with_name(f"{path.name}.{os.getpid()}.new")
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


@contextlib.contextmanager
def _explained(folder: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.StartError(
            f"{error.filename or folder}: {error.strerror}; name a folder that can be written: --state-dir DIR"
        ) from None
