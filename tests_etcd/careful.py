"""Clients as they should be: the same request, with the same key, again after a 503 or a lost connection."""

import dataclasses
import random
import threading
import time
import uuid

import requests

from tests.functional import deployment

#: Instances that a client keeps before it deletes its oldest.
KEPT = 6


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One request. ``status`` 0: the connection was refused or broke."""

    what: str
    begin: float
    end: float
    status: int
    wrong: str | None = None

    @property
    def seconds(self) -> float:
        return self.end - self.begin


class Client:
    """Creates, looks at and deletes instances of one tenant; writes down what it was promised."""

    def __init__(self, service: deployment.Deployment, tenant: str, rng: random.Random) -> None:
        self._service = service
        self._rng = rng
        self._path = f"/v1/tenants/{tenant}/instances"
        self.attempts: list[Attempt] = []
        #: Seconds from the first attempt of a write to its answer.
        self.waits: list[float] = []
        #: Ids that were acknowledged, and of those, the ones whose delete was.
        self.created: list[str] = []
        self.deleted: set[str] = set()
        self.wrong: list[str] = []

    @property
    def kept(self) -> list[str]:
        return [one for one in self.created if one not in self.deleted]

    def run(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                self.turn()
                stop.wait(self._rng.uniform(0.0, 0.1))
        except Exception as error:
            self.wrong.append(f"the client ended: {error!r}")

    def turn(self) -> None:
        kept = self.kept
        if len(kept) > KEPT:
            # The oldest, or one that has hardly begun.
            self.delete(kept[self._rng.choice((0, -1))])
        else:
            self.create()
        if self.kept:
            self.look(self._rng.choice(self.kept))

    def create(self) -> None:
        # Without a name: were it made twice, nothing would stand in the way.
        answer, _ = self._until_answered("POST", self._path, {"image": "host", "flavor": "tiny"})
        if answer.status_code == 202:
            self.created.append(answer.json()["id"])
        else:
            self.wrong.append(f"create: {answer.status_code} {answer.text}")

    def delete(self, instance: str) -> None:
        answer, attempts = self._until_answered("DELETE", f"{self._path}/{instance}")
        # Only a delete that was sent before can have removed it.
        if answer.status_code == 202 or (answer.status_code == 404 and attempts > 1):
            self.deleted.add(instance)
        else:
            self.wrong.append(f"delete of {instance}: {answer.status_code} {answer.text}")

    def look(self, instance: str) -> None:
        """What was acknowledged is there, whichever process is asked."""
        if (answer := self._attempt("GET", f"{self._path}/{instance}")) and answer.status_code == 404:
            self.wrong.append(f"{instance} was acknowledged and is not there")

    def _until_answered(self, method: str, path: str, body: object = None) -> tuple[requests.Response, int]:
        """The same request, until the answer is neither 503 nor lost; and how often it was sent."""
        key = uuid.uuid4().hex
        begin = time.monotonic()
        attempts = 0

        def attempt() -> list[requests.Response]:
            nonlocal attempts
            attempts += 1
            answer = self._attempt(method, path, body, key)
            return [] if answer is None or answer.status_code == 503 else [answer]

        (answer,) = deployment.wait_for(f"{method} {path} answered", attempt, 60)
        self.waits.append(time.monotonic() - begin)
        return answer, attempts

    def _attempt(
        self, method: str, path: str, body: object = None, key: str | None = None
    ) -> requests.Response | None:
        headers = {"Idempotency_Key": key} if key and method == "POST" else {}
        begin = time.monotonic()
        try:
            answer = self._service.call(method, path, body, **headers)
        except requests.RequestException as error:
            lost = Attempt(method, begin, time.monotonic(), 0, f"{type(error).__name__}: {error}")
            self.attempts.append(lost)
            return None
        wrong = unfit(answer)
        self.attempts.append(Attempt(method, begin, time.monotonic(), answer.status_code, wrong))
        return answer


def unfit(answer: requests.Response) -> str | None:
    """What is wrong with an answer: errors are 503, a problem, and say when to come again (404: its reader judges)."""
    if answer.status_code < 400 or answer.status_code == 404:
        return None
    if answer.status_code != 503:
        return f"{answer.status_code} {answer.text}"
    if answer.headers.get("Content-Type", "").split(";")[0] != "application/problem+json":
        return f"503 that is no problem document: {answer.text}"
    return None if answer.headers.get("Retry-After", "").isdigit() else "503 without Retry-After"
