"""What the stores cost: ``python -m benchmarks.storage [--folder FOLDER] [--records N]``.

Prints, for each store, the median and 99th percentile of single calls, the
rate of commits from several threads, and the time from a commit's return to
the arrival of its change at a watch: in the same process, and for sqlite in
another one.
"""

import argparse
import multiprocessing
import multiprocessing.connection
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable

from oslo_config import cfg

from apisvc.storage import base, memory
from apisvc.storage.sqlite import store as sqlite

VALUE = bytes(1024)
THREADS = 8


def open_sqlite(path: str, synchronous: str) -> base.Store:
    conf = cfg.ConfigOpts()
    conf.register_opts(sqlite.SqliteStore.options(), group="sqlite")
    conf.set_override("path", path, group="sqlite")
    conf.set_override("synchronous", synchronous, group="sqlite")
    return sqlite.SqliteStore(conf.sqlite)


def timed(call: Callable[[int], object], times: int) -> list[float]:
    """Seconds of each of ``times`` calls."""
    taken = []
    for number in range(times):
        begun = time.perf_counter()
        call(number)
        taken.append(time.perf_counter() - begun)
    return taken


def show(name: str, taken: list[float]) -> None:
    ordered = sorted(taken)
    median, worst = statistics.median(ordered) * 1e6, ordered[int(len(ordered) * 0.99)] * 1e6
    print(f"  {name:34} {median:10.1f} us   p99 {worst:10.1f} us")


def calls(store: base.Store, records: int) -> None:
    """Single calls on a store of ``records`` keys."""
    for first in range(0, records, base.MAX_OPS):
        numbers = range(first, min(first + base.MAX_OPS, records))
        store.commit([], [base.Put(f"k/{number:08}", VALUE) for number in numbers])
    ten = [f"k/{number:08}" for number in range(0, records, max(1, records // 10))][:10]
    show("get of 1 key", timed(lambda n: store.get([f"k/{n * 7919 % records:08}"]), 5000))
    show("get of 10 keys", timed(lambda n: store.get(ten), 2000))
    show("scan of 100 records", timed(lambda n: store.scan("k/", limit=100), 500))
    show("revision", timed(lambda n: store.revision(), 5000))
    show("commit of 1 guard, 1 write", timed(lambda n: replace(store, f"k/{n % records:08}"), 500))
    show(
        "commit of 3 guards, 5 writes",
        timed(
            lambda n: store.commit(
                [base.Absent(f"a/{n}"), base.Absent(f"b/{n}"), base.Present(ten[0])],
                [base.Put(f"{folder}/{n}", VALUE) for folder in "abcde"],
            ),
            500,
        ),
    )


def replace(store: base.Store, key: str) -> None:
    store.commit([base.Present(key)], [base.Put(key, VALUE)])


def rate(store: base.Store) -> None:
    """Commits a second from several threads on different keys."""
    times = 200

    def work(name: int) -> None:
        for number in range(times):
            store.commit([], [base.Put(f"rate/{name}/{number}", VALUE)])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(THREADS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(
        f"  {f'commits from {THREADS} threads':34} {THREADS * times / (time.perf_counter() - begun):10.0f} /s"
    )


def wake(commit: Callable[[], float], arrived: Callable[[], float]) -> list[float]:
    """Seconds from the return of a commit to the arrival of its change (0 when it was there before)."""
    taken = []
    for _ in range(200):
        returned = commit()
        taken.append(max(0.0, arrived() - returned))
        # Let the watcher fall asleep again, as it would be between two real commits.
        time.sleep(0.002)
    return taken


def wake_here(store: base.Store) -> list[float]:
    """Within one process: another thread watches."""
    arrivals: list[float] = []
    arrival = threading.Semaphore(0)
    watch = store.watch("wake", after=store.revision())

    def listen() -> None:
        for batch in watch:
            if batch.changes:
                arrivals.append(time.monotonic())
                arrival.release()

    thread = threading.Thread(target=listen)
    thread.start()

    def commit() -> float:
        store.commit([], [base.Put("wake", b"")])
        return time.monotonic()

    def arrived() -> float:
        arrival.acquire()
        return arrivals[-1]

    taken = wake(commit, arrived)
    watch.close()
    thread.join()
    return taken


def wake_there(store: base.Store, path: str) -> list[float]:
    """Across processes: another process watches, and tells the instant by the host's clock."""
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    child = spawn.Process(target=watch_there, args=(path, theirs))
    child.start()
    mine.recv()

    def commit() -> float:
        store.commit([], [base.Put("wake", b"")])
        return time.monotonic()

    taken = wake(commit, mine.recv)
    store.commit([], [base.Put("wake", b"end")])
    child.join()
    return taken


def watch_there(path: str, parent: multiprocessing.connection.Connection) -> None:
    store = open_sqlite(path, "full")
    with store.watch("wake", after=store.revision()) as watch:
        parent.send("ready")
        for batch in watch:
            arrived = time.monotonic()
            if any(change.value == b"end" for change in batch.changes):
                break
            if batch.changes:
                parent.send(arrived)
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", help="where to put the files (default: the system's temporary folder)")
    parser.add_argument("--records", type=int, default=10_000, help="keys in the store (default: 10000)")
    arguments = parser.parse_args()

    print(f"memory, {arguments.records} records of {len(VALUE)} bytes")
    store: base.Store = memory.MemoryStore()
    calls(store, arguments.records)
    rate(store)
    show("watch wake, same process", wake_here(store))
    for synchronous in ("full", "normal"):
        print(f"sqlite, synchronous = {synchronous}, {arguments.records} records of {len(VALUE)} bytes")
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            path = os.path.join(folder, "apisvc.sqlite")
            store = open_sqlite(path, synchronous)
            calls(store, arguments.records)
            rate(store)
            show("watch wake, same process", wake_here(store))
            show("watch wake, another process", wake_there(store, path))
            store.close()


if __name__ == "__main__":
    main()
