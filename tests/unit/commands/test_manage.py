"""``apisvc-manage bootstrap`` and ``keys``: the beginning of a deployment."""

from tests.unit.commands import manage_case


class TestBootstrap(manage_case.ManageCase):
    def test_the_token_is_all_that_is_printed(self) -> None:
        code, out, err = self.manage("bootstrap")
        self.assertEqual(0, code, err)
        self.assertRegex(out, r"\Aapisvc_[A-Za-z0-9_-]{43}\n\Z")
        self.assertIn("Made the first key", err)

    def test_the_state_folder_is_made(self) -> None:
        self.here.config.write_text(f"[DEFAULT]\nstate_dir = {self.here.folder}/a/b\n")
        self.assertEqual(0, self.manage("bootstrap")[0])
        (self.here.folder / "file").write_text("")
        self.here.config.write_text(f"[DEFAULT]\nstate_dir = {self.here.folder}/file/b\n")
        code, _, err = self.manage("bootstrap")
        self.assertEqual((1, 1), (code, err.count("\n")), err)
        self.assertIn("[DEFAULT] state_dir = ", err)

    def test_again_there_is_no_second_token_unless_asked_for(self) -> None:
        first = self.manage("bootstrap")[1]
        code, out, err = self.manage("bootstrap")
        self.assertEqual((0, ""), (code, out))
        self.assertIn("--new-token", err)
        self.assertNotIn(self.manage("bootstrap", "--new-token")[1], ("", first))

    def test_no_key_is_made_for_a_store_that_was_written_with_others(self) -> None:
        self.manage("bootstrap")
        (self.here.folder / "keys").rename(self.here.folder / "elsewhere")
        code, _, err = self.manage("bootstrap", "--new-token")
        self.assertEqual(1, code)
        self.assertIn("copy it from another host", err)
        self.assertFalse((self.here.folder / "keys").exists())


class TestKeys(manage_case.ManageCase):
    def test_rotate_and_list(self) -> None:
        self.assertIn("for a new one: apisvc-manage bootstrap", self.manage("keys", "list")[2])
        self.assertEqual(0, self.manage("keys", "rotate")[0])
        self.assertEqual(0, self.manage("keys", "rotate")[0])
        lines = self.manage("keys", "list")[1].splitlines()
        self.assertEqual(
            [("1", "decrypts"), ("2", "encrypts")], [tuple(line.split("\t")[::2]) for line in lines]
        )

    def test_a_folder_that_cannot_be(self) -> None:
        (self.here.folder / "keys").write_text("a file")
        code, _, err = self.manage("keys", "rotate")
        self.assertEqual(1, code)
        self.assertIn("[secrets] key_directory = ", err)
