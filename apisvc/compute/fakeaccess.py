"""How people get at what is on the ``fake`` backend: logs, exec, console, credentials, nodes, strays."""

import dataclasses
import secrets
import time
from collections.abc import Iterator, Sequence

from apisvc.compute import base, fakecalls, fakecloud, faketerminal

Phase = base.Phase


class FakeAccess(
    fakecalls.FakeCalls, base.Logs, base.Exec, base.Console, base.Credentials, base.Cordon, base.Adopt
):
    # Logs

    def logs(
        self, instance_id: str, tenant_id: str, request: base.LogRequest, *, deadline: float
    ) -> Iterator[bytes]:
        found = self._call("logs", instance_id, deadline, lambda now: self._find(instance_id, now))
        if found is None:
            raise base.NotFound("There is no such instance.")
        text = found.knobs.get("fake.log", f"{instance_id} says hello")
        lines = text.splitlines(keepends=True)
        kept = lines if request.tail is None else lines[len(lines) - min(request.tail, len(lines)) :]
        # All of it is printed when a run begins.
        if request.previous and found.runs < 2:
            raise base.NotFound("There was no run before this one.")
        if request.since is not None and request.since > found.began(time.time()):
            kept = []
        output = "".join(kept)
        follow = request.follow and not request.previous
        return self._output(instance_id, output.encode() + b"\n" if output else b"", follow=follow)

    def _output(self, instance_id: str, output: bytes, *, follow: bool) -> Iterator[bytes]:
        if output:
            yield output
        while follow:
            with self.cloud.locked():
                found = self._find(instance_id, now := time.time())
                phase = found.phase(now) if found else None
            if phase in (None, Phase.STOPPED, Phase.EXITED, Phase.FAILED):
                return
            yield b""
            time.sleep(0.05)

    # Exec and console

    def exec(
        self, instance_id: str, tenant_id: str, request: base.ExecRequest, *, deadline: float
    ) -> base.Terminal:
        found = self._call("exec", instance_id, deadline, lambda now: self._running(instance_id, now))
        return faketerminal.FakeTerminal(request, found.env)

    def console(self, instance_id: str, tenant_id: str, *, deadline: float) -> base.ConsoleAccess:
        self._call("console", instance_id, deadline, lambda now: self._running(instance_id, now))
        return base.ConsoleAccess(
            "novnc", f"https://fake.example.com/{instance_id}?token={secrets.token_hex(8)}"
        )

    def _running(self, instance_id: str, now: float) -> fakecloud.Object:
        if (found := self._find(instance_id, now)) is None:
            raise base.NotFound("There is no such instance.")
        if found.phase(now) is not Phase.RUNNING:
            raise base.InvalidSpec("The instance does not run.")
        return found

    # Credentials

    def issue(self, request: base.CredentialRequest, *, deadline: float) -> base.Credential:
        return self._call("issue", "", deadline, lambda now: self._issue(request, now))

    def issued(self, tenant_id: str, *, deadline: float) -> Sequence[base.Credential]:
        return self._call("issued", "", deadline, lambda now: self._issued(tenant_id, now))

    def revoke(self, tenant_id: str, credential_id: str, *, deadline: float) -> None:
        self._call("revoke", "", deadline, lambda now: self._revoke(tenant_id, credential_id))

    def _issue(self, request: base.CredentialRequest, now: float) -> base.Credential:
        for name, fact in self.cloud.facts("credential").items():
            if fact["expires_at"] <= now:
                self.cloud.state("credential", name, None)
        expires_at = now + request.seconds
        fact = {"tenant_id": request.tenant.id, "role": request.role, "expires_at": expires_at}
        self.cloud.state("credential", request.id, fact)
        content = f"tenant: {request.tenant.id}\nrole: {request.role}\npassword: {secrets.token_hex(16)}\n"
        return base.Credential(request.id, "fake.yaml", expires_at, content)

    def _issued(self, tenant_id: str, now: float) -> list[base.Credential]:
        return [
            base.Credential(name, "fake.yaml", fact["expires_at"])
            for name, fact in sorted(self.cloud.facts("credential").items())
            if fact["tenant_id"] == tenant_id and fact["expires_at"] > now
        ]

    def _revoke(self, tenant_id: str, credential_id: str) -> None:
        fact = self.cloud.facts("credential").get(credential_id)
        if fact is not None and fact["tenant_id"] == tenant_id:
            self.cloud.state("credential", credential_id, None)

    # Nodes

    def nodes(self, *, deadline: float) -> Sequence[base.Node]:
        return self._call("nodes", "", deadline, lambda now: [self._node(now)])

    def cordon(self, node: str, schedulable: bool, *, deadline: float) -> base.Node:
        return self._call("cordon", "", deadline, lambda now: self._cordon(node, schedulable, now))

    def _cordon(self, node: str, schedulable: bool, now: float) -> base.Node:
        if node != fakecloud.NODE:
            raise base.NotFound(f"There is no node {node!r}.")
        self.cloud.state("cordoned", node, None if schedulable else True)
        return self._node(now)

    def _cordoned(self) -> bool:
        return fakecloud.NODE in self.cloud.facts("cordoned")

    def _node(self, now: float) -> base.Node:
        used = sum(found.vcpus for found in self.cloud.all() if found.phase(now) is Phase.RUNNING)
        return base.Node(
            fakecloud.NODE,
            ready=True,
            schedulable=not self._cordoned(),
            vcpus=self.backend.conf.capacity,
            vcpus_used=used,
        )

    # Strays

    def strays(self, *, deadline: float) -> Sequence[base.Stray]:
        return self._call("strays", "", deadline, lambda now: self._strays())

    def adopt(self, workload: base.Workload, handle: str, *, deadline: float) -> base.Observed:
        def adopt(now: float) -> base.Observed:
            seen = self._adopt(workload, handle, now).observed(now)
            assert seen is not None  # what was just put is there
            return seen

        return self._call("adopt", workload.id, deadline, adopt)

    def _strays(self) -> list[base.Stray]:
        return [
            base.Stray(**{**fact, "phase": Phase(fact["phase"])})
            for _, fact in sorted(self.cloud.facts("stray").items())
        ]

    def _adopt(self, workload: base.Workload, handle: str, now: float) -> fakecloud.Object:
        found = self._find(workload.id, now)
        if found is not None and found.handle == handle:
            found.set(found.timeline)
            found.tag = dataclasses.replace(found.tag, spec_hash=workload.spec_hash)
        else:
            stray = next((one for one in self._strays() if one.handle == handle), None)
            if stray is None:
                owned = any(one.handle == handle for one in self.cloud.all())
                refused = base.InvalidSpec("It belongs to an instance already.")
                raise refused if owned else base.NotFound(f"There is no {handle!r}.")
            rests = stray.phase in (Phase.STOPPED, Phase.EXITED)
            found = fakecloud.Object(
                base.Tag(self.backend.owner, workload.tenant.id, workload.id, workload.spec_hash),
                [(now, stray.phase)],
                power="stopped" if rests else "running",
                reboots=workload.reboots,
                vcpus=workload.vcpus,
                handle=handle,
                shape=fakecalls.shape(workload),
                runs=0 if rests else 1,
            )
            self.cloud.state("stray", handle, None)
        self.cloud.put(found)
        return found

    # For tests

    def add_stray(self, handle: str, **fields: object) -> base.Stray:
        """Something that others made on the backend; ``fields`` are those of a Stray."""
        small = {"name": handle, "phase": Phase.RUNNING, "image": "busybox", "vcpus": 1, "ram_mb": 100}
        stray = base.Stray(**{"handle": handle, "disk_gb": 1, **small, **fields})  # type: ignore[arg-type]
        with self.cloud.locked():
            self.cloud.state("stray", handle, dataclasses.asdict(stray))
        return stray
