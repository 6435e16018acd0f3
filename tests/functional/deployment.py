"""A real deployment for tests: apisvc.conf, gunicorn and workers as processes, on loopback, in a temporary folder."""

import contextlib
import json
import os
import pathlib
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import fixtures
import requests

from tests import ports

#: The worker class of gunicorn's settings as shipped, and these.
WORKER_CLASS = "apisvc.web.gunicorn_worker.Turns"
SETTINGS = pathlib.Path(__file__).parents[2] / "etc" / "gunicorn.conf.py"


#: Seconds that a request, or a write of the store, may take on a busy machine.
PATIENCE = 60


def wait_for(what: str | Callable[[], object], condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true value of ``condition``; fails saying ``what`` when there was none in time."""
    end = time.monotonic() + seconds
    pause = 0.005
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


class Deployment(fixtures.Fixture):
    """API and worker processes over one store; all of them die with the test.

    ``options``: ``{group: {option: value}}`` over the defaults (SQLite, one
    ``fake`` backend with durable state); None takes a default away.
    """

    def __init__(
        self, options: Mapping[str, Mapping[str, Any]] | None = None, gunicorn: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self.options = options or {}
        self.gunicorn = gunicorn
        self.api: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        #: What trusts the API's certificate, where it has one.
        self.tls: ssl.SSLContext | None = None

    def _setUp(self) -> None:
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.port = ports.reserve(self.addCleanup)
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = self.folder / "apisvc.conf"
        self.write_config()
        self.addCleanup(self.stop)
        self.token = self.command("manage", "bootstrap").strip()

    def write_config(self) -> None:
        groups: dict[str, dict[str, Any]] = {
            "DEFAULT": {"state_dir": self.folder / "state", "enabled_backends": "first"},
            "first": {"driver": "fake", "state_file": self.folder / "fake.sqlite"},
            "worker": {"lease_ttl": 2, "resync_interval": 1, "capacity_interval": 1, "retry_max": 2},
            # A disk that is busy with others is no reason for a 503 here.
            "api": {"request_timeout": PATIENCE},
            "sqlite": {"timeout": PATIENCE},
        }
        for group, values in self.options.items():
            groups.setdefault(group, {}).update(values)
        lines = [
            line
            for group, values in groups.items()
            for line in (f"[{group}]", *(f"{k} = {v}" for k, v in values.items() if v is not None))
        ]
        self.config.write_text("\n".join(lines) + "\n")

    # Processes

    def environment(self) -> dict[str, str]:
        # gunicorn makes a socket in the runtime folder; what killed processes leave behind goes with the test.
        places = ("APISVC_CONFIG_DIR", "XDG_RUNTIME_DIR", "TMPDIR")
        return {**os.environ, **dict.fromkeys(places, str(self.folder)), "PYTHONUNBUFFERED": "1"}

    def run_module(self, name: str, *arguments: str) -> list[str]:
        code = f"import sys; from apisvc.commands.{name} import main; sys.exit(main())"
        return [sys.executable, "-c", code, "--config-file", str(self.config), *arguments]

    def command(self, name: str, *arguments: str) -> str:
        """Run ``apisvc-<name>`` to its end; what it printed."""
        done = subprocess.run(
            self.run_module(name, *arguments),
            capture_output=True,
            text=True,
            timeout=120,
            env=self.environment(),
        )
        if done.returncode:
            raise AssertionError(
                f"apisvc-{name} {arguments}: exit {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done.stdout

    def _spawn(self, arguments: list[str], log: str, **environment: str) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("ab") as output:
            return subprocess.Popen(
                arguments,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**self.environment(), **environment},
                start_new_session=True,
            )

    def start_api(self, workers: int = 2, threads: int = 8) -> None:
        arguments = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{self.port}", f"--workers={workers}"]
        arguments += ["-k", WORKER_CLASS, f"--threads={threads}", *self.gunicorn, "apisvc.main:app"]
        figures: dict[str, str] = {}
        if "-c" not in self.gunicorn:  # else the settings see to it: /metrics is of all processes
            (self.folder / "figures").mkdir(exist_ok=True)
            figures = {"PROMETHEUS_MULTIPROC_DIR": str(self.folder / "figures")}
        self.api = self._spawn(arguments, "api.log", **figures)
        wait_for("the API answers", self.answers)

    def start_worker(self) -> None:
        self.workers.append(self._spawn(self.run_module("worker"), "worker.log"))

    def answers(self) -> bool:
        if self.api and self.api.poll() is not None:
            raise AssertionError(f"the API ended: {self.log('api.log')}")
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{self.url}/healthcheck", timeout=2, context=self.tls) as answer,
        ):
            return bool(answer.status == 200)
        return False

    def log(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(errors="replace")[-8000:] if path.exists() else ""

    def kill_api(self) -> None:
        """SIGKILL for the gunicorn master and all its workers at once."""
        self._kill(self.api)
        self.api = None

    def api_processes(self) -> list[int]:
        """The ids of gunicorn's worker processes."""
        assert self.api is not None
        master = self.api.pid
        return [int(p) for p in pathlib.Path(f"/proc/{master}/task/{master}/children").read_text().split()]

    def kill_workers(self) -> None:
        for process in self.workers:
            self._kill(process)
        self.workers = []

    def kill_worker(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL for one of ``workers``, with its processes."""
        self.workers.remove(process)
        self._kill(process)

    @staticmethod
    def _kill(process: subprocess.Popen[bytes] | None) -> None:
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)

    def stop(self) -> None:
        self.kill_api()
        self.kill_workers()

    # HTTP

    def call(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> requests.Response:
        return requests.request(
            method,
            self.url + path,
            data=None if body is None else json.dumps(body),
            headers={
                "X-Auth-Token": token or self.token,
                **({} if body is None else {"Content-Type": "application/json"}),
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
            timeout=2 * PATIENCE,
        )

    def made(self, path: str, body: Any) -> Any:
        """POST that must succeed; the answer's body."""
        return self._success(self.call("POST", path, body))

    def taken(self, path: str, body: Any) -> Any:
        """``made``, asked again as long as no backend is known to be in sight and to have room."""

        def answered() -> requests.Response | None:
            answer = self.call("POST", path, body)
            refused = answer.status_code == 409 and answer.json()["code"] == "apisvc.backend.none_suitable"
            return None if refused else answer

        return self._success(wait_for(f"a backend takes {body}", answered, 2 * PATIENCE))

    @staticmethod
    def _success(answer: requests.Response) -> Any:
        if answer.status_code >= 300:
            raise AssertionError(f"POST {answer.url}: {answer.status_code} {answer.text}")
        return answer.json()

    def catalogue(self, tenant: str = "acme", quota: Mapping[str, int] | None = None) -> None:
        """A tenant with ``quota``, the flavor ``tiny`` and the image ``host``."""
        self.made("/v1/admin/tenants", {"name": tenant, **({"quota": dict(quota)} if quota else {})})
        self.made("/v1/admin/flavors", {"name": "tiny", "vcpus": 1, "ram_mb": 64, "disk_gb": 1})
        self.made("/v1/admin/images", {"name": "host", "references": {"local": "host", "fake": "host"}})

    def instances(self, tenant: str = "acme") -> list[Any]:
        return list(self.pages(f"/v1/tenants/{tenant}/instances", "instances"))

    def pages(self, path: str, name: str) -> Iterator[Any]:
        url: str | None = f"{path}?limit=1000"
        while url:
            page = self.call("GET", url).json()
            yield from page[name]
            url = page["next"]
            if url and url.startswith("http"):
                url = url.removeprefix(self.url)
