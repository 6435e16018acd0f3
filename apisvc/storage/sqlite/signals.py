"""Wakes the watches when the store moves on, whichever process moved it.

Every process that watches binds a datagram socket in a folder beside the file.
Who commits sends a datagram to each; a socket that nobody listens to any more
is removed on the way. A datagram says only "look"; a look every half second
makes good a lost one, and ends the leases that are over.
"""

import contextlib
import logging
import math
import os
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence

from apisvc import errors

LOG = logging.getLogger(__name__)

#: Seconds between looks that nobody asked for.
SAFETY = 0.5


class Signals:
    """What the watches of one process wait on.

    ``look`` answers the store's revision and the seconds until a lease ends; it
    is called from the listener's thread.
    """

    def __init__(self, folder: str, look: Callable[[], tuple[int, float]]) -> None:
        self._folder = folder
        self._look = look
        self._changed = threading.Condition()
        self._revision = 0
        self._bell: Bell | None = None
        self._thread: threading.Thread | None = None
        self._reachable = True
        self._deaf = False
        #: Set for good by :meth:`stop`.
        self.stopped = False

    def announce(self, revision: int) -> None:
        """A commit of this process is done: wake the watches here and everywhere."""
        self.saw(revision)
        bell = self._bell
        ring(self._folder, but=bell.name if bell else None)

    def wait(self, after: int, end: float, closed: Callable[[], bool]) -> None:
        """Until the store has moved beyond ``after``, ``closed()``, or the instant ``end``."""
        with self._changed:
            while self._revision <= after and not closed():
                remaining = end - time.monotonic()
                if remaining <= 0:
                    return
                self._changed.wait(remaining)

    def wake(self) -> None:
        """Let every waiting watch see whether it was closed."""
        with self._changed:
            self._changed.notify_all()

    def listen(self) -> None:
        """Start the listener, once."""
        with self._changed:
            if self._thread is None and not self.stopped:
                self._thread = threading.Thread(target=self._run, name="sqlite-store-listener", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the listener and wake whoever waits."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            ring(self._folder)
            thread.join()

    def saw(self, revision: int) -> None:
        """The store has reached ``revision``: wake the watches here."""
        with self._changed:
            if revision > self._revision:
                self._revision = revision
                self._changed.notify_all()

    def _run(self) -> None:
        try:
            while not self.stopped:
                # The bell before the look: what happens in between rings it.
                self._hang_bell()
                pause = self._try_look()
                if self._bell is None:
                    time.sleep(pause)
                elif not self.stopped:
                    self._bell.wait(pause)
        finally:
            if self._bell is not None:
                self._bell.close()

    def _hang_bell(self) -> None:
        """A new bell where there is none, or where somebody took it away."""
        if self._bell is not None and self._bell.hangs():
            return
        if self._bell is not None:
            self._bell.close()
            self._bell = None
        try:
            self._bell = Bell(self._folder)
            self._deaf = False
        except OSError as error:
            if not self._deaf:
                LOG.warning("Watches are slow: no socket can be made in %s: %s", self._folder, error)
            self._deaf = True

    def _try_look(self) -> float:
        """Look once; the seconds until the next look."""
        try:
            revision, lease_ends_in = self._look()
        except errors.StoreUnavailable as error:
            if self._reachable:
                LOG.warning("Watches wait for the store: %s", error)
            self._reachable = False
            return SAFETY
        if not self._reachable:
            LOG.info("The store is back; watches go on")
        self._reachable = True
        self.saw(revision)
        return max(0.0, min(SAFETY, lease_ends_in))


class Bell:
    """A datagram socket in the folder; whoever sends to it wakes :meth:`wait`."""

    def __init__(self, folder: str) -> None:
        self.name = f"{os.getpid()}-{secrets.token_hex(4)}"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._path = os.path.join(folder, self.name)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        where = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # A sender who finds the name before the socket listens would remove it as stale.
            self._socket.bind(_address(where, "." + self.name))
            os.rename("." + self.name, self.name, src_dir_fd=where, dst_dir_fd=where)
        except BaseException:
            self._socket.close()
            raise
        finally:
            os.close(where)

    def wait(self, seconds: float) -> None:
        """Until it rings or the time is over; several rings are one."""
        # NOTE: poll, for select refuses descriptors beyond 1023.
        ready = select.poll()
        ready.register(self._socket, select.POLLIN)
        if ready.poll(math.ceil(seconds * 1000)):
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._socket.recv(16)

    def hangs(self) -> bool:
        """Whether senders still find it."""
        return os.path.exists(self._path)

    def close(self) -> None:
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def ring(folder: str, but: str | None = None) -> None:
    """Wake every process that listens in the folder, except the bell named ``but``.

    Never blocks and never fails: the commit is done, and who is not woken looks by itself.
    """
    try:
        where = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    except OSError as error:
        LOG.warning("Cannot wake the watches of other processes: %s", error)
        return
    try:
        names = [name for name in os.listdir(where) if not name.startswith(".") and name != but]
        if names:
            _send(where, names)
    except OSError as error:
        LOG.warning("Cannot wake the watches of other processes: %s", error)
    finally:
        os.close(where)


def _send(where: int, names: Sequence[str]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        for name in names:
            try:
                sender.sendto(b"!", _address(where, name))
            except ConnectionRefusedError:
                # Its process is gone.
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=where)
            except (BlockingIOError, FileNotFoundError):
                # Full: it has reason enough to look. Gone: nobody to wake.
                continue
            except OSError as error:
                LOG.warning("Cannot wake the watches behind %s: %s", name, error)


def _address(where: int, name: str) -> str:
    """The name in the open folder; short, however long the folder's path (a socket's may have 107 bytes)."""
    return f"/proc/self/fd/{where}/{name}"
