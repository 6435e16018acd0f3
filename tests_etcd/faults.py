"""Faults of a cluster's members, by seed."""

import random
import threading

from tests_etcd import cluster


class Nemesis:
    """Kills and freezes members, never so many that there is no majority for long."""

    kinds: tuple[str, ...] = ("kill", "freeze", "kill the leader", "freeze the leader")

    def __init__(self, members: cluster.Cluster, rng: random.Random) -> None:
        self._cluster = members
        self._rng = rng
        self.deeds: list[str] = []

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(0.2 + self._rng.random() * 0.5):
            self.deeds.append(self.strike(self._rng.choice(self.kinds)))
            stop.wait(0.2 + self._rng.random() * 1.3)
            self._cluster.mend()

    def strike(self, kind: str) -> str:
        """Do it; what was done to whom."""
        member = self._cluster.leader() if "leader" in kind else self._rng.choice(self._cluster.members)
        if "kill" in kind:
            member.kill()
        else:
            member.freeze()
        return f"{kind} {member.name}"
