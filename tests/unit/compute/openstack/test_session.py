"""Requests end by the deadline, whatever the cloud does; and the SDK is loaded by whoever needs it."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
import unittest

from apisvc.compute import base
from apisvc.compute.openstack import driver
from apisvc.testing import backends


@contextlib.contextmanager
def hanging():
    """A port that accepts and never answers."""
    held = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    held.append(listener.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for connection in held:
                connection.close()


def make(port):
    return driver.OpenStackDriver(
        backends.context(
            driver.OpenStackDriver,
            state_dir="",
            auth_url=f"http://127.0.0.1:{port}/v3",
            username="me",
            password="secret",
            project="mine",
            api_retries=3,
        )
    )


class TestDeadlines(unittest.TestCase):
    def test_a_cloud_that_never_answers_is_a_timeout(self):
        with hanging() as port:
            made = make(port)
            self.addCleanup(made.close)
            begin = time.monotonic()
            for call in (
                lambda deadline: made.check(deadline=deadline),
                lambda deadline: made.observe(deadline=deadline),
                lambda deadline: made.ensure(backends.workload("i", image="x"), deadline=deadline),
                lambda deadline: made.delete("i", "tenant-1", deadline=deadline),
                lambda deadline: list(made.logs("i", "tenant-1", base.LogRequest(), deadline=deadline)),
            ):
                self.assertRaises(base.Timeout, call, time.monotonic() + 0.3)
            # Far less than api_timeout, which is 20 s for each of them.
            self.assertLess(time.monotonic() - begin, 19)

    def test_a_cloud_that_is_not_there_is_unavailable_at_once(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        made = make(port)
        self.addCleanup(made.close)
        with self.assertRaises(base.Unavailable) as caught:
            made.check(deadline=time.monotonic() + 30)
        self.assertNotIn(str(port), caught.exception.message)


class TestLazy(unittest.TestCase):
    def test_the_driver_is_loaded_without_the_sdk(self):
        code = (
            "import sys; from apisvc.compute.openstack import driver; driver.OpenStackDriver.options(); "
            "print(sorted({'openstack', 'keystoneauth1', 'requests'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        self.assertEqual("[]", done.stdout.strip())
