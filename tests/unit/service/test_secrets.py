import pathlib

import fixtures
import testtools

from apisvc import errors
from apisvc.service import secrets


class SecretsTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = str(pathlib.Path(self.useFixture(fixtures.TempDir()).path) / "keys")

    def test_the_newest_key_encrypts_and_all_decrypt(self) -> None:
        secrets.add_key(self.folder)
        old = secrets.load(self.folder).encrypt(b"v")
        self.assertEqual(2, secrets.add_key(self.folder))
        box = secrets.load(self.folder)
        self.assertEqual(b"v", box.decrypt(old))
        pathlib.Path(self.folder, "1").unlink()
        self.assertEqual(b"v", secrets.load(self.folder).decrypt(box.rotate(old)))

    def test_a_running_process_finds_a_key_that_came_after_its_start(self) -> None:
        secrets.add_key(self.folder)
        running = secrets.load(self.folder)
        secrets.add_key(self.folder)
        self.assertEqual(b"v", running.decrypt(secrets.load(self.folder).encrypt(b"v")))

    def test_a_secret_of_a_lost_key(self) -> None:
        secrets.add_key(self.folder)
        lost = secrets.load(self.folder).encrypt(b"v")
        secrets.add_key(self.folder)
        pathlib.Path(self.folder, "1").unlink()
        with testtools.ExpectedException(errors.Unavailable, "A stored secret was encrypted with a key"):
            secrets.load(self.folder).decrypt(lost)

    def test_what_is_wrong_with_the_folder_is_said_with_the_remedy(self) -> None:
        with testtools.ExpectedException(
            errors.StartError, ".*no such folder.*copy it.*apisvc-manage bootstrap"
        ):
            secrets.load(self.folder)
        pathlib.Path(self.folder).mkdir()
        with testtools.ExpectedException(errors.StartError, ".*holds no key.*apisvc-manage bootstrap"):
            secrets.load(self.folder)
        pathlib.Path(self.folder, "1").write_text("nonsense")
        with testtools.ExpectedException(errors.StartError, ".*not a Fernet key"):
            secrets.load(self.folder)
