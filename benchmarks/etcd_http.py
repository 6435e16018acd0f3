"""The service on etcd, over HTTP: reads, lists, creates, memory and start at 100,000 instances.

Everything runs in one go on this machine, under the same load (``wrk``, 32 connections), in many short
rounds: each contender is measured right beside the one it is compared with, and the ratio is the median
of those of the rounds, for the speed of a machine changes within a minute. apisvc runs with the settings
it ships and 2 processes; the bare Falcon app with as many processes and threads, under gunicorn's own
worker class ``gthread``, and once more under ours. Needs ``etcd`` and ``wrk`` on PATH. Run from a checkout
whose package metadata is known to Python (``pip install -e .``)::

    python -m benchmarks.etcd_http [--instances 100000] [--seconds 2] [--rounds 15]
"""

import argparse
import concurrent.futures
import contextlib
import functools
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence

import grpc

from apisvc.storage.etcd import protocol
from benchmarks import etcd_seeded, read_cost

#: gunicorn's settings as shipped.
SETTINGS = pathlib.Path(__file__).parents[1] / "etc" / "gunicorn.conf.py"
CONNECTIONS = 32
TENANTS = etcd_seeded.TENANTS
_CREATE = """\
wrk.method = "POST"
wrk.body = '{"image": "app", "flavor": "small"}'
wrk.headers["Content-Type"] = "application/json"
local paths = {%s}
local turn = math.random(#paths)
request = function()
  turn = turn %% #paths + 1
  return wrk.format(nil, paths[turn])
end
response = function(status)
  if status ~= 202 then io.stderr:write("status ", status, "\\n") end
end
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--instances", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=15, help="at least 2")
    asked = parser.parse_args()
    for program in ("etcd", "wrk"):
        if not shutil.which(program):
            raise SystemExit(f"{program} is not on PATH; Debian has it as etcd-server and wrk")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        endpoint = stack.enter_context(etcd_seeded.etcd(folder))
        (folder / "apisvc.conf").write_text(
            etcd_seeded.CONFIG.format(folder=folder, endpoint=f"http://{endpoint}")
        )
        seeded = etcd_seeded.seed(folder, asked.instances)
        _measure(asked, folder, endpoint, seeded, stack)
    return 0


def _measure(
    asked: argparse.Namespace,
    folder: pathlib.Path,
    endpoint: str,
    seeded: etcd_seeded.Seeded,
    stack: contextlib.ExitStack,
) -> None:
    environment = {**os.environ, "APISVC_CONFIG_DIR": str(folder), "BENCHMARK_BODY": str(folder / "body")}
    (folder / "bare.py").write_text(read_cost._BARE)
    started = time.monotonic()
    served = stack.enter_context(
        read_cost._gunicorn("apisvc.main:app", folder, environment, ("-c", str(SETTINGS)))
    )
    request = f"GET {seeded.one} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {seeded.token}\r\n\r\n".encode()
    body = _first(served.port, request)
    print(
        f"ready with {asked.instances} instances: first read after {time.monotonic() - started:.1f} s (at most 10)"
    )
    (folder / "body").write_bytes(body)
    apps = {"apisvc": served}
    for name, worker in (("bare", "gthread"), ("bare, our worker class", "apisvc.web.gunicorn_worker.Turns")):
        settings = (f"--worker-class={worker}", "--threads=32", "--keep-alive=30")
        apps[name] = stack.enter_context(read_cost._gunicorn("bare:app", folder, environment, settings))
    _wait_loaded(folder / "apisvc.main:app.log", processes=2)
    print(f"CPU time of the gunicorn processes until both are ready: {served.cpu():.1f} s")
    _measure_gets(asked, seeded, apps)

    def listing(path: str) -> float:
        return _wrk(served.port, f"{path}?limit=100", seeded.token, asked.seconds)

    rates = _rounds(
        asked.rounds,
        {
            "list of 1,000": lambda: listing(seeded.small),
            f"list of {asked.instances}": lambda: listing(seeded.large),
        },
    )
    few, many = rates.values()
    _ratio("list of 100: time out of many / time out of 1,000", few, many, "at most 1.3")
    print(f"memory: {_resident(served.process.pid)} MB resident in the larger API worker (under 400)")

    _measure_creates(asked, folder, endpoint, seeded, served)


def _measure_gets(
    asked: argparse.Namespace, seeded: etcd_seeded.Seeded, apps: Mapping[str, read_cost._Gunicorn]
) -> None:
    # On a busy machine the rates say little; what a request costs says more.
    costs: dict[str, list[float]] = {name: [] for name in apps}

    def get(name: str) -> float:
        return _costed(apps[name], costs[name], seeded.one, seeded.token, asked.seconds)

    rates = _rounds(asked.rounds, {name: functools.partial(get, name) for name in apps})
    _ratio("GET of one instance", rates["apisvc"], rates["bare"], "at least 0.5 of the bare app")
    ours = "bare, our worker class"
    _ratio("GET of one instance", rates["apisvc"], rates[ours], "of the bare app under our worker class")
    _ratio("the bare app under our worker class", rates[ours], rates["bare"], "of that under gthread")
    each = ", ".join(f"{name} {statistics.median(cost):.0f} us" for name, cost in costs.items())
    print(f"CPU time of the gunicorn processes for a GET: {each}")
    _ratio("CPU time of a GET: bare / apisvc", costs["bare"], costs["apisvc"], "no number promised")


def _measure_creates(
    asked: argparse.Namespace,
    folder: pathlib.Path,
    endpoint: str,
    seeded: etcd_seeded.Seeded,
    served: read_cost._Gunicorn,
) -> None:
    spread, single = folder / "spread.lua", folder / "single.lua"
    spread.write_text(_CREATE % ", ".join(f'"{path}"' for path in seeded.creates))
    single.write_text(_CREATE % f'"{seeded.creates[0]}"')
    costs: dict[str, list[float]] = {f"{TENANTS} tenants": [], "one tenant": []}

    def create(name: str, script: pathlib.Path) -> float:
        return _costed(served, costs[name], "/", seeded.token, asked.seconds, script)

    rates = _rounds(
        asked.rounds,
        {
            "raw stubs": lambda: _raw_commits(endpoint, asked.seconds),
            f"creates, {TENANTS} tenants": lambda: create(f"{TENANTS} tenants", spread),
            "creates, one tenant": lambda: create("one tenant", single),
        },
    )
    raw, many, one = rates.values()
    for name, each in costs.items():
        print(f"CPU time of the gunicorn processes for a create, {name}: {statistics.median(each):.0f} us")
    _ratio(f"creates over {TENANTS} tenants", many, raw, "at least 0.5 of raw commits of the same size")
    _ratio("creates of one tenant", one, raw, "of raw commits; every one changes one ledger")


def _first(port: int, request: bytes) -> bytes:
    """The first good answer; an API process that is not ready says 503."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return read_cost._get(port, request)
        except SystemExit as refused:
            if time.monotonic() > deadline or "503" not in str(refused):
                raise
            print(f"not ready yet: {str(refused).splitlines()[0]}")


def _wait_loaded(log: pathlib.Path, processes: int) -> None:
    """Until every API process has its copy, which it says in the log."""
    deadline = time.monotonic() + 60
    while log.read_text().count("the mirror has") < processes:
        if time.monotonic() > deadline:
            raise SystemExit(f"not all processes have their copy:\n{log.read_text()}")
        time.sleep(0.1)


def _rounds(count: int, contenders: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Each contender in turns; the rates of each, and their median and extremes printed."""
    seen: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(count):
        for name, measure in contenders.items():
            seen[name].append(measure())
    for name, rates in seen.items():
        print(f"  {name:24} {statistics.median(rates):8.0f}/s   ({min(rates):.0f} to {max(rates):.0f})")
    return seen


def _ratio(what: str, ours: Sequence[float], theirs: Sequence[float], promise: str) -> None:
    """The median of the ratios of the rounds, with the middle half of them."""
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"{what}: {middle:.2f} ({promise}); half of the rounds: {low:.2f} to {high:.2f}")


def _costed(
    app: read_cost._Gunicorn,
    costs: list[float],
    path: str,
    token: str,
    seconds: int,
    script: pathlib.Path | None = None,
) -> float:
    """As :func:`_wrk`; what a request cost the app in CPU time, in microseconds, goes to ``costs``."""
    before = app.cpu()
    rate = _wrk(app.port, path, token, seconds, script)
    costs.append((app.cpu() - before) / (rate * seconds) * 1e6)
    return rate


def _wrk(port: int, path: str, token: str, seconds: int, script: pathlib.Path | None = None) -> float:
    command = [
        "wrk",
        "-t2",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "--timeout=20s",
        "-H",
        f"X-Auth-Token: {token}",
    ]
    command += ["-s", str(script)] if script else []
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{path}"],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=True,
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(done.stdout)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert rate, done.stdout
    return float(rate[1])


def _raw_commits(endpoint: str, seconds: int) -> float:
    """Commits a second by bare stubs, of as many operations and bytes as a create has."""
    etcd = protocol.load()
    method = etcd.methods["KV/Txn"]
    end, run = time.monotonic() + seconds, uuid.uuid4()

    def work(number: int) -> int:
        count = 0
        with grpc.insecure_channel(endpoint, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            commit = channel.unary_unary(method.path, method.serialize, method.deserialize)
            while time.monotonic() < end:
                name = f"/raw/{run}/{number}/{count}".encode()
                guards = [
                    etcd.Compare(key=name + f"/{i}".encode(), target="VERSION", result="EQUAL", version=0)
                    for i in range(4)
                ]
                sizes = (1000, 40, 40, 100, 500, 0)
                writes = [
                    etcd.RequestOp(
                        request_put=etcd.PutRequest(key=name + f"/{i}".encode(), value=b"x" * size)
                    )
                    for i, size in enumerate(sizes)
                ]
                answer = commit(etcd.TxnRequest(compare=guards, success=writes), timeout=10)
                assert answer.succeeded
                count += 1
        return count

    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(pool.map(work, range(CONNECTIONS))) / seconds


def _resident(master: int) -> int:
    """MB of the largest worker process."""
    sizes = []
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            text = status.read_text()
            if f"\nPPid:\t{master}\n" in text and (size := re.search(r"VmRSS:\s+(\d+)", text)):
                sizes.append(int(size[1]) // 1024)
    return max(sizes)


if __name__ == "__main__":
    raise SystemExit(main())
