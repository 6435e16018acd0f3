"""The ports that tests start servers on."""

import socket

import testtools

from tests import ports


class Reserved(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.port = ports.reserve(self.addCleanup)

    def listen(self) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", self.port))  # sets SO_REUSEADDR
        self.addCleanup(listener.close)
        return listener

    def connect(self) -> None:
        socket.create_connection(("127.0.0.1", self.port), 30).close()

    def test_a_server_comes_and_goes(self) -> None:
        self.assertRaises(ConnectionRefusedError, self.connect)
        for _ in range(2):
            listener = self.listen()
            self.connect()
            listener.close()
            self.assertRaises(ConnectionRefusedError, self.connect)

    def test_two_are_two(self) -> None:
        taken = {ports.reserve(self.addCleanup) for _ in range(50)} | {self.port}
        self.assertEqual(51, len(taken))
        # Nor does anybody get one of them who asks the kernel for any.
        for _ in range(200):
            with socket.create_server(("127.0.0.1", 0)) as other:
                self.assertNotIn(other.getsockname()[1], taken)

    def test_who_does_not_share_cannot_have_it(self) -> None:
        with socket.socket() as other:
            self.assertRaises(OSError, other.bind, ("127.0.0.1", self.port))
