"""What the other processes of the storage tests do: ``python -m tests.functional.storage.roles PATH ROLE [ARGUMENT]``.

Each says ``ready`` on its standard output when it is about to begin.
"""

import os
import signal
import sys
import threading
import time

from apisvc import errors
from apisvc.storage import base
from tests.compliance.storage import sqlite_files


def say(text: object) -> None:
    print(text, flush=True)


def increment(store: base.Store, times: str) -> None:
    """Count up, as often as asked."""
    say("ready")
    for _ in range(int(times)):
        while True:
            record = store.get(["counter"]).records["counter"]
            value = str(int(record.value) + 1).encode()
            try:
                store.commit([base.AtRevision("counter", record.revision)], [base.Put("counter", value)])
                break
            except base.Conflict:
                continue


def echo(store: base.Store, _: str) -> None:
    """Answer every ``ping/x`` with ``pong/x``, until killed."""
    watch = store.watch("ping/", after=store.revision())
    say("ready")
    for batch in watch:
        for change in batch.changes:
            store.commit([], [base.Put(change.key.replace("ping/", "pong/"), change.value or b"")])


def hold(store: base.Store, ttl: str) -> None:
    """Hold a leased key, until killed."""
    lease = store.lease(float(ttl))
    store.commit([], [base.Put("claim", b"", lease.id)])
    say("ready")
    while True:
        time.sleep(lease.ttl / 20)
        lease.keep_alive()


def write(store: base.Store, _: str) -> None:
    """Write two keys that are always alike, and say what was acknowledged, until killed."""
    say("ready")
    turn = 0
    while True:
        turn += 1
        value = str(turn).encode() * 500
        store.commit([], [base.Put("left", value), base.Put("right", value), base.Put(f"log/{turn:06}", b"")])
        say(turn)


def fork(store: base.Store, _: str) -> None:
    """Use the store before a fork and on both sides of it."""
    store.commit([], [base.Put("before", b"")])
    mine = store.watch("", after=store.revision())
    say("ready")
    child = os.fork()
    if child == 0:
        with store.watch("", after=0) as theirs:
            seen = [change.key for change in next(theirs).changes]
        store.commit([base.Present("before")], [base.Put("child saw " + seen[0], b"")])
        store.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    say([change.key for change in next(mine).changes] + [f"status {status}"])
    store.commit([], [base.Put("after", b"")])
    say([change.key for change in next(mine).changes])


def forks(store: base.Store, times: str) -> None:
    """Fork again and again while threads open and close the file; say whether the children could use it."""
    store.commit([], [base.Put("a", b"")])
    say("ready")
    enough = threading.Event()

    def reopen() -> None:
        while not enough.is_set():
            other = sqlite_files.open_store(path, synchronous="normal", timeout=30.0)
            other.get(["a"])
            other.close()

    threads = [threading.Thread(target=reopen) for _ in range(4)]
    for thread in threads:
        thread.start()
    statuses = set()
    for _ in range(int(times)):
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # ends one that hangs
            store.get(["a"])
            os._exit(0)
        statuses.add(os.waitpid(child, 0)[1])
        if statuses != {0}:
            break
    enough.set()
    for thread in threads:
        thread.join()
    say(statuses)


def ping(store: base.Store, uid: str) -> None:
    """Say what a start would, as another user."""
    if uid:
        os.setuid(int(uid))
    try:
        store.ping()
        say("fine")
    except errors.StoreUnavailable as error:
        say(error.detail)


if __name__ == "__main__":
    path, role, argument = [*sys.argv[1:], ""][:3]
    opened = sqlite_files.open_store(path, synchronous="normal", timeout=30.0)
    globals()[role](opened, argument)
    opened.close()
