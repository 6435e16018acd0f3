"""Terminals end to end: the command line, gunicorn (plain and TLS), workers, and real processes."""

import os
import pathlib
import pty
import re
import select
import shutil
import ssl
import subprocess
import sys
import time

import fixtures
import testtools

from apisvc import client
from tests.functional import deployment

PROMPT = "import sys; from apisvc.commands.cli.app import main; sys.exit(main())"


class Served:
    """A deployment with the local driver, and one instance that runs in it."""

    def setUp(self) -> None:
        super().setUp()
        self.scratch = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.service = deployment.Deployment(
            {
                "DEFAULT": {"enabled_backends": "here"},
                "first": {"driver": None, "state_file": None},
                "here": {"driver": "local", "folder": self.scratch / "instances"},
                "live": self.live,
            },
            self.gunicorn(),
        )
        self.useFixture(self.service)
        self.prepare()
        self.service.start_api()
        self.service.start_worker()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("APISVC_")},
            "APISVC_URL": self.service.url,
            "APISVC_TENANT": "acme",
            "APISVC_TOKEN": self.service.token,
            "XDG_CONFIG_HOME": str(self.scratch),
            **self.trust(),
        }
        self.api = client.Client(
            self.service.url, self.service.token, cacert=self.trust().get("APISVC_CACERT")
        )
        self.addCleanup(self.api.close)
        self.addCleanup(self.take_away)
        self.catalogue()
        made = self.api.instances.create(
            "acme",
            name="web",
            image="host",
            flavor="tiny",
            command=["sleep", "600"],
            env={"GREETING": "hello"},
        )
        self.api.wait(made, "active", timeout=60)

    live: dict[str, float] = {}

    def gunicorn(self) -> tuple[str, ...]:
        return ()

    def prepare(self) -> None:
        """Before anything is served."""

    def trust(self) -> dict[str, str]:
        return {}

    def catalogue(self) -> None:
        self.api.tenants.create(name="acme")
        self.api.flavors.create(name="tiny", vcpus=1, ram_mb=256, disk_gb=1)
        self.api.images.create(name="host", references={"local": "host"})

    def take_away(self) -> None:
        for one in self.api.instances.list("acme"):
            self.api.wait(self.api.instances.delete("acme", one["id"]), "gone", timeout=60)

    def exec(self, *argv: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [sys.executable, "-c", PROMPT, "instance", "exec", *argv],
            input=stdin,
            capture_output=True,
            timeout=120,
            env=self.environment,
        )


class ExecTest(Served, testtools.TestCase):
    live = {"exec_timeout": 2.0}

    def test_over_gunicorn(self) -> None:
        self.exit_codes_and_output()
        self.input()
        self.a_terminal()
        self.refusals()
        self.over_post()
        self.the_server_is_none_the_worse()

    def exit_codes_and_output(self) -> None:
        done = self.exec("web", "--", "sh", "-c", "echo $GREETING; echo err >&2; exit 7")
        self.assertEqual((7, b"hello\n", b"err\n"), (done.returncode, done.stdout, done.stderr))
        done = self.exec("web", "--", "head", "-c", "3000000", "/dev/zero")
        self.assertEqual((0, 3000000), (done.returncode, len(done.stdout)))

    def input(self) -> None:
        text = os.urandom(1_000_000)
        done = self.exec("-i", "web", "--", "cat", stdin=text)
        self.assertEqual((0, text, b""), (done.returncode, done.stdout, done.stderr))
        self.assertEqual(b"", self.exec("web", "--", "cat", stdin=b"not asked for").stdout)

    def a_terminal(self) -> None:
        """As a person would use it: a shell on a terminal, with our own window's size."""
        ours, its = pty.openpty()
        self.addCleanup(os.close, ours)
        process = subprocess.Popen(
            [sys.executable, "-c", PROMPT, "instance", "exec", "-it", "web", "--", "sh"],
            stdin=its,
            stdout=its,
            stderr=its,
            env={**self.environment, "PS1": "> "},
            start_new_session=True,
        )
        os.close(its)
        said = b""

        def until(pattern: bytes) -> None:
            nonlocal said
            end = time.monotonic() + 60
            while not re.search(pattern, said):
                self.assertLess(time.monotonic(), end, said)
                if select.select([ours], [], [], 1.0)[0]:
                    said += os.read(ours, 65536)

        until(rb"\$|#")
        os.write(ours, b"stty size; tty; echo my''self\n")
        until(rb"\r\nmyself\r\n")
        self.assertRegex(said, rb"/dev/pts/\d+")
        os.write(ours, b"sh -c 'echo $0; exec sleep 300' go''ing\n")  # Ctrl-C ends either of the two
        until(rb"\r\ngoing\r\n")
        os.write(ours, b"\x03")
        os.write(ours, b"exit 9\n")
        self.assertEqual(9, process.wait(60))

    def refusals(self) -> None:
        for argv, code, word in (
            (("web", "--", "no-such-program"), 3, b"no-such-program"),
            (("none", "--", "ls"), 3, b"none"),
            (("web",), 2, b"follows '--'"),
        ):
            done = self.exec(*argv)
            self.assertEqual(code, done.returncode, done.stderr)
            self.assertIn(word, done.stderr)
            self.assertNotIn(b"Traceback", done.stderr)

    def over_post(self) -> None:
        ran = self.api.instances.exec("acme", "web", ["sh", "-c", "cat; exit 4"], stdin="hi")
        self.assertEqual(("hi", 4, True), (ran["stdout"], ran["exit_code"], ran["ended"]))
        ran = self.api.instances.exec("acme", "web", ["sleep", "60"])
        self.assertEqual((None, False), (ran["exit_code"], ran["ended"]))

    def the_server_is_none_the_worse(self) -> None:
        events = self.api.events.list("acme", action="instance.exec")
        self.assertLessEqual(7, len(list(events)))
        figures = self.service.call("GET", "/metrics").text
        self.assertIn('apisvc_terminals_total{why="exited"}', figures)
        deployment.wait_for(
            "all streams to be closed",
            lambda: "apisvc_open_streams 0.0" in self.service.call("GET", "/metrics").text,
        )
        log = self.service.log("api.log")
        for word in ("Traceback", "Error handling request", "Exception"):
            self.assertNotIn(word, log)


class TlsTest(Served, testtools.TestCase):
    """gunicorn itself speaks TLS; the socket is then another one."""

    def gunicorn(self) -> tuple[str, ...]:
        return ("--certfile", str(self.scratch / "cert.pem"), "--keyfile", str(self.scratch / "key.pem"))

    def trust(self) -> dict[str, str]:
        return {"APISVC_CACERT": str(self.scratch / "cert.pem")}

    def prepare(self) -> None:
        openssl = shutil.which("openssl")
        assert openssl, "the openssl command makes the test's certificate"
        subprocess.run(
            [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(self.scratch / "key.pem"),
             "-out", str(self.scratch / "cert.pem")],
            check=True,
            capture_output=True,
        )  # fmt: skip
        self.service.url = self.service.url.replace("http:", "https:")
        self.service.tls = ssl.create_default_context(cafile=str(self.scratch / "cert.pem"))

    def test_terminals_over_tls(self) -> None:
        text = os.urandom(1_000_000)
        done = self.exec("-i", "web", "--", "sh", "-c", "cat; exit 6", stdin=text)
        self.assertEqual((6, text, b""), (done.returncode, done.stdout, done.stderr))
        self.assertTrue(self.api.instances.get("acme", "web")["actions"]["exec"]["possible"])
