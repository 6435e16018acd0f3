"""A worker and nothing around it: ``python -m tests.fault.worker_process --config-file FILE``."""

import signal
import threading

from apisvc.commands import assemble, entry
from apisvc.testing import faults
from apisvc.worker import worker


def main() -> None:
    conf = entry.configuration(entry.parser("worker_process", "A worker to be killed.").parse_args())
    made = assemble.assemble(conf)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    working = worker.Worker(conf, made.services, made.backends, faults.from_environment())
    working.start()
    stop.wait()
    working.stop()
    made.close()


if __name__ == "__main__":
    main()
