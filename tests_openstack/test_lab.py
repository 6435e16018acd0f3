"""The lab itself: nothing of it outlives it, whatever is killed."""

import os
import pathlib
import signal
import subprocess
import sys
import urllib.request

import fixtures
import testtools

from tests.functional import deployment
from tests_openstack import cloud
from tools import processes
from tools.openstack import layout, services

LAB = pathlib.Path(services.__file__).with_name("lab.py")


class TestLab(testtools.TestCase):
    def test_one_that_is_killed_while_it_comes_up_leaves_nothing(self):
        cloud.lab()
        base = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        folder = base / "lab"
        environment = {**os.environ, layout.FOLDER: str(folder)}
        environment.pop("OS_CLOUD")
        self.addCleanup(processes.kill, folder)
        with subprocess.Popen(
            [sys.executable, LAB, "up"], env=environment, stdout=subprocess.DEVNULL
        ) as coming:
            deployment.wait_for(
                "its Keystone is being started", lambda: processes.find(folder, "keystone"), cloud.PATIENCE
            )
            coming.send_signal(signal.SIGKILL)
        self.assertTrue(processes.find(folder))
        subprocess.run([sys.executable, LAB, "down"], env=environment, check=True, timeout=120)
        self.assertEqual([], processes.find(folder))
        self.assertEqual([], list(base.iterdir()))

    def test_the_end_of_what_runs_in_it_is_its_end(self):
        cloud.lab()
        base = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        folder = base / "lab"
        environment = {**os.environ, layout.FOLDER: str(folder)}
        environment.pop("OS_CLOUD")
        self.addCleanup(processes.kill, folder)
        command = [sys.executable, LAB, "run", "--", "true"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as running:
            deployment.wait_for(
                "its Keystone is being started", lambda: processes.find(folder, "keystone"), cloud.PATIENCE
            )
            running.send_signal(signal.SIGKILL)
        deployment.wait_for("nothing of it is left", lambda: list(base.iterdir()) == [], cloud.PATIENCE)
        self.assertEqual([], processes.find(folder))

    def test_a_service_is_killed_frozen_and_brought_back_alone(self):
        with cloud.without("glance") as lab:
            self.assertFalse(services.ready(lab, "glance"))
            self.assertTrue(services.ready(lab, "keystone"))
        self.assertTrue(services.ready(lab, "glance"))
        with cloud.frozen("glance") as lab:
            self.assertTrue(services.listens(lab.ports["glance"]))
            self.assertRaises(TimeoutError, urllib.request.urlopen, lab.url("glance"), timeout=1)
        self.assertTrue(services.ready(lab, "glance"))
