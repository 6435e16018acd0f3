"""A Keystone over HTTP that says what a test wants it to say."""

import datetime
import http.server
import json
import threading
import time
import urllib.parse
import uuid

import fixtures

from apisvc.auth.keystone import driver
from apisvc.testing import case

PASSWORD = "the-password-of-apisvc"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients that do not wait for the answer are part of the test."""


class Keystone(fixtures.Fixture):
    def _setUp(self):
        #: What it says of a token, by its text; the body of the answer.
        self.tokens = {}
        #: The subject of each question about a token, in order.
        self.asked = []
        self.logins = 0
        #: A status to answer every question with; and its headers.
        self.status, self.headers = None, {}
        self.password = PASSWORD
        self.body = None
        self.answering = threading.Event()
        self.answering.set()
        self.addCleanup(self.answering.set)
        self.good_logins = set()
        self._server = Server(("127.0.0.1", 0), self._handler())
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.addCleanup(self._server.server_close)
        self.addCleanup(self._server.shutdown)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v3"

    def token(self, *roles, lifetime=3600.0, system=False, project="default", user="ann", domain=None):
        """The text of a new token, and the id of its project, which is new, too."""
        text = f"gAAAAA-{uuid.uuid4().hex}"
        project_id = uuid.uuid4().hex
        expires = datetime.datetime.fromtimestamp(time.time() + lifetime, datetime.UTC)
        body = {
            "methods": ["password"],
            "user": {"id": f"id-of-{user}", "name": user, "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": uuid.uuid4().hex, "name": role} for role in roles],
            "expires_at": expires.isoformat().replace("+00:00", "Z"),
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "audit_ids": ["x"],
        }
        if system:
            body["system"] = {"all": True}
        elif domain:
            body["domain"] = {"id": "default", "name": domain}
        elif project:
            body["project"] = {
                "id": project_id,
                "name": project,
                "domain": {"id": "default", "name": "Default"},
            }
        self.tokens[text] = {"token": body}
        return text, project_id

    def driver(self, **options):
        """A driver that asks this Keystone."""
        values = {"auth_url": self.url, "username": "apisvc", "password": PASSWORD, **options}
        return driver.KeystoneAuth(case.group(driver.KeystoneAuth, "keystone", **values), None)

    def _handler(self):
        script = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                script.answering.wait(30)
                identity = asked["auth"]["identity"]
                secret = identity.get("password", {}).get("user", {}).get("password")
                secret = secret or identity.get("application_credential", {}).get("secret")
                if secret != script.password:
                    self.say(401, {"error": {"code": 401, "message": "The request requires authentication."}})
                    return
                script.logins += 1
                text, _ = script.token("service")
                script.good_logins.add(text)
                self.say(201, script.tokens[text], {"X-Subject-Token": text})

            def do_GET(self):
                parts = urllib.parse.urlsplit(self.path)
                subject = self.headers["X-Subject-Token"]
                script.asked.append(subject)
                script.answering.wait(30)
                if script.status:
                    self.say(script.status, script.body or {}, script.headers)
                elif self.headers["X-Auth-Token"] not in script.good_logins:
                    self.say(401, {})
                else:
                    assert parts.path == "/v3/auth/tokens", self.path
                    told = script.tokens.get(subject)
                    if told and "allow_expired" not in parts.query:
                        expires = datetime.datetime.fromisoformat(told["token"]["expires_at"])
                        told = told if expires.timestamp() > time.time() else None
                    self.say(200, told) if told else self.say(404, {"error": {"code": 404}})

            def say(self, status, body, headers=()):
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in dict(headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        return Handler
