"""Encryption at rest, with keys that rotate.

The keys are files in one folder, as in Keystone's key repository: the name is
the key's number, the highest encrypts, all decrypt.
"""

import os
import pathlib
import tempfile
from collections.abc import Callable

from cryptography import fernet

from apisvc import errors

#: What to do where there is no key. A key made beside those of other hosts would be no help.
_FIRST = "copy it from another host of this deployment; for a new one: apisvc-manage bootstrap"


class SecretBox:
    """Encrypts and decrypts small values."""

    def __init__(self, keys: list[bytes], reload: Callable[[], list[bytes]] | None = None) -> None:
        """``keys``: Fernet keys, the one that encrypts first. ``reload`` reads them anew."""
        self._keys = keys
        self._fernet = fernet.MultiFernet([fernet.Fernet(key) for key in keys])
        self._reload = reload

    def encrypt(self, value: bytes) -> bytes:
        return self._fernet.encrypt(value)

    def decrypt(self, value: bytes) -> bytes:
        """:raises Unavailable: no key that we have made it."""
        try:
            return self._fernet.decrypt(value)
        except fernet.InvalidToken:
            if self._renewed():
                return self.decrypt(value)
            raise errors.Unavailable(
                "A stored secret was encrypted with a key that is no longer in the key folder.",
                retry_after=60,
            ) from None

    def _renewed(self) -> bool:
        """Whether there are other keys by now: a process that started later may use a newer one."""
        keys = self._reload() if self._reload else self._keys
        if keys == self._keys:
            return False
        self._keys = keys
        self._fernet = fernet.MultiFernet([fernet.Fernet(key) for key in keys])
        return True

    def rotate(self, value: bytes) -> bytes:
        """The same secret under the newest key."""
        return self._fernet.rotate(value)


def key_numbers(folder: str) -> list[int]:
    """The numbers of the keys in ``folder``, oldest first."""
    return sorted(int(name) for name in os.listdir(folder) if name.isdigit())


def add_key(folder: str) -> int:
    """Make a new key, which encrypts from the next start on; returns its number."""
    path = pathlib.Path(folder)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = max(key_numbers(folder), default=0) + 1
    # A key appears with all that is in it: who reads the folder meanwhile must not find an empty one.
    handle, scratch = tempfile.mkstemp(prefix=".new-", dir=path)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(fernet.Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        os.link(scratch, path / str(number))
    finally:
        os.unlink(scratch)
    return number


def load(folder: str) -> SecretBox:
    """The box of the keys in ``folder``.

    :raises StartError: the folder is missing, empty or holds something else.
    """
    try:
        return SecretBox(_read(folder), reload=lambda: _read(folder))
    except errors.ApisvcError as error:
        raise errors.StartError(error.detail) from None


def _read(folder: str) -> list[bytes]:
    """The keys in ``folder``, newest first; Unavailable says what is wrong with them."""
    place = f"[secrets] key_directory = {folder}"
    try:
        keys = [(pathlib.Path(folder) / str(n)).read_bytes().strip() for n in reversed(key_numbers(folder))]
        for key in keys:
            fernet.Fernet(key)
    except FileNotFoundError:
        raise errors.Unavailable(f"{place}: there is no such folder; {_FIRST}") from None
    except OSError as error:
        raise errors.Unavailable(
            f"{place}: {error.strerror}; it must be a folder whose files this user can read"
        ) from None
    except ValueError:
        raise errors.Unavailable(
            f"{place}: a file in it is not a Fernet key; put it right, or move it away if it never was one"
        ) from None
    if not keys:
        raise errors.Unavailable(f"{place}: holds no key; {_FIRST}")
    return keys
