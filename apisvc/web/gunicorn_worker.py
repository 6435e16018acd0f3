"""gunicorn's threaded worker, with requests served in turns: ``worker_class = "apisvc.web.gunicorn_worker.Turns"``."""

from typing import Any

from gunicorn.workers import gthread

from apisvc import turns


class Turns(gthread.ThreadWorker):  # type: ignore[misc]
    """``gthread`` as it is, but for the pool of threads."""

    def get_thread_pool(self) -> turns.Pool:
        return turns.Pool(self.cfg.threads, self._ask, _came)

    def _ask(self, deadline: float) -> turns.Asked | None:
        # An application of the deployer's own around ours need not have it.
        ahead = getattr(self.wsgi, "ahead", None)
        asked: turns.Asked | None = ahead(deadline) if ahead else None
        return asked


def _came(conn: Any) -> bool:
    """A connection that is kept alive is served when it is readable; a new one before its request has come."""
    return bool(conn.initialized)
