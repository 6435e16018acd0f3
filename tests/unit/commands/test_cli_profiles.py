"""``apisvc configure``, and the profiles that it writes."""

import os
import stat

from apisvc.commands.cli import settings
from tests.unit.client.scripted import Reply, problem
from tests.unit.commands import cli_case
from tests.unit.commands.cli_case import instance


class ProfileTest(cli_case.Prompt):
    def configure(self, *more: str) -> int:
        """Without what the environment would say."""
        url = self.server.url
        del self.server
        return self.cli("--url", url, "--token", 'se"cret', "--tenant", "ümlaut", "configure", *more)

    def test_a_profile_is_written_for_us_alone_and_used(self) -> None:
        server = self.serve(Reply(200, {"name": "ann"}), Reply(200, instance()))
        self.assertEqual(0, self.configure(), self.err)
        self.assertIn("You are ann", self.err)
        path = settings.profile_file({"XDG_CONFIG_HOME": self.home})
        self.assertEqual(0o600, stat.S_IMODE(os.stat(path).st_mode))
        self.assertEqual(0, self.cli("instance", "show", "web"), self.err)
        self.assertEqual('se"cret', server.seen[1].headers["X-Auth-Token"])
        self.assertEqual("/v1/tenants/%C3%BCmlaut/instances/web", server.seen[1].path)

    def test_profiles_stand_side_by_side(self) -> None:
        self.serve()
        self.assertEqual(0, self.configure("--no-check", "--profile", "one two"))
        self.serve()
        self.assertEqual(0, self.configure("--no-check"))
        found = settings.read_profiles(settings.profile_file({"XDG_CONFIG_HOME": self.home}))
        self.assertEqual(["default", "one two"], sorted(found))

    def test_a_token_that_is_refused_is_not_kept(self) -> None:
        self.serve(problem(401, "apisvc.auth.required"))
        self.assertEqual(4, self.configure())
        self.assertFalse(settings.profile_file({"XDG_CONFIG_HOME": self.home}).exists())

    def test_a_profiles_token_goes_to_its_own_service_only(self) -> None:
        self.serve()
        self.configure("--no-check")
        other = self.serve(Reply(200, instance()))
        del self.server
        self.assertEqual(0, self.cli("instance", "show", "web", "--url", other.url), self.err)
        self.assertNotIn("X-Auth-Token", other.seen[0].headers)

    def test_a_broken_profile_is_said(self) -> None:
        path = settings.profile_file({"XDG_CONFIG_HOME": self.home})
        path.parent.mkdir()
        for text in ("[default", "url = 'x'", "[default]\nport = 1", "[default]\ncolour = 'red'", b"\xff"):
            with self.subTest(text):
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
                self.assertEqual(2, self.cli("version"))
                self.assertIn(str(path), self.err)

    def test_configure_does_not_ask_a_script(self) -> None:
        self.assertEqual(2, self.cli("configure", APISVC_URL="http://127.0.0.1:1"))
        self.assertIn("--token", self.err)
