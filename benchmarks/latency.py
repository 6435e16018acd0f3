"""From POST to ``active`` on the fake backend: ``python -m benchmarks.latency [--times N]``.

Everything is real but the cloud: HTTP over a socket, guard, transaction, store,
watch, worker, two commits, driver calls. For each store it prints the median
and 95th percentile of the POST itself and of the time until the record says
active, one instance after the other; and the rate when many are asked for at
once. The goal is a median below 100 ms.
"""

import argparse
import concurrent.futures
import http.client
import json
import pathlib
import statistics
import tempfile
import threading
import time

from apisvc.commands import assemble, demo, dev, entry, server
from apisvc.model import codec, instances, keys
from apisvc.storage import base as storage
from apisvc.worker import worker

AT_ONCE, CLIENTS = 200, 8
DEADLINE = 60.0


class Ear:
    """Hears from the store when an instance is active."""

    def __init__(self, store: storage.Store) -> None:
        self._watch = store.watch(keys.INSTANCES, after=store.revision())
        self._heard = threading.Condition()
        self._active: dict[str, float] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for batch in self._watch:
            now = time.perf_counter()
            for change in batch.changes:
                if change.value is None:
                    continue
                if codec.decode(change.value, instances.Instance).status.state == "active":
                    with self._heard:
                        self._active.setdefault(keys.last(change.key), now)
                        self._heard.notify_all()

    def when_active(self, instance_id: str) -> float:
        with self._heard:
            assert self._heard.wait_for(lambda: instance_id in self._active, DEADLINE), instance_id
            return self._active[instance_id]

    def close(self) -> None:
        self._watch.close()


class Client:
    """One connection, kept open where the server lets it."""

    def __init__(self, url: str, token: str) -> None:
        self._address = url.removeprefix("http://")
        self._headers = {"X-Auth-Token": token, "Content-Type": "application/json"}

    def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        connection = http.client.HTTPConnection(self._address, timeout=DEADLINE)
        connection.request("POST", path, json.dumps(body), self._headers)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        assert answer.status < 300, f"{answer.status}: {raw.decode()}"
        found: dict[str, object] = json.loads(raw)
        return found


def run(store: str, times: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = demo.State(pathlib.Path(folder))
        state.config.write_text(
            f"[DEFAULT]\nstate_dir = {folder}\nenabled_backends = cloud\n"
            f"[storage]\ndriver = {store}\n[cloud]\ndriver = fake\n"
            "[quota]\ninstances = -1\nvcpus = -1\nram_mb = -1\ndisk_gb = -1\n"
        )
        arguments = entry.parser("latency", "").parse_args(["--config-file", str(state.config)])
        conf = entry.configuration(arguments)
        assembly, texts = dev.prepare(conf, state)
        with server.bind("127.0.0.1", 0) as listening:
            listening.set_app(assemble.application(assembly))
            threading.Thread(target=listening.serve_forever, daemon=True).start()
            working = worker.Worker(conf, assembly.services, assembly.backends)
            working.start()
            assert working.wait_ready(DEADLINE)
            ear = Ear(assembly.store)
            try:
                measure(store, Client(listening.url, texts[demo.USER]), ear, times)
            finally:
                ear.close()
                listening.shutdown()
                working.stop()
                assembly.close()


def measure(store: str, client: Client, ear: Ear, times: int) -> None:
    path, body = f"/v1/tenants/{demo.TENANT}/instances", {"image": "host", "flavor": "tiny"}

    def one(number: int) -> tuple[float, float, float]:
        begun = time.perf_counter()
        made = str(client.post(path, dict(body))["id"])
        posted = time.perf_counter()
        return begun, posted - begun, ear.when_active(made) - begun

    one(0)  # the first pays for what is made once
    found = [one(number) for number in range(times)]
    show(f"{store}: POST", [posted for _, posted, _ in found])
    show(f"{store}: POST to active", [active for _, _, active in found])
    begun = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        ends = [start + active for start, _, active in pool.map(one, range(AT_ONCE))]
    rate = AT_ONCE / (max(ends) - begun)
    print(f"  {f'{store}: {AT_ONCE} at once, {CLIENTS} clients':38} {rate:8.0f} instances/s")


def show(name: str, taken: list[float]) -> None:
    ordered = sorted(taken)
    median, late = statistics.median(ordered) * 1e3, ordered[int(len(ordered) * 0.95)] * 1e3
    print(f"  {name:38} {median:8.1f} ms   p95 {late:8.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=100, help="instances made one after the other")
    times = parser.parse_args().times
    for store in ("memory", "sqlite"):
        run(store, times)


if __name__ == "__main__":
    main()
