"""The driver against the suite that apisvc ships for all authentication drivers."""

import unittest
from collections.abc import Mapping, Sequence

from apisvc_example import proxy

from apisvc.model import codec, keys, users
from apisvc.storage import base, memory
from apisvc.testing import auth

SECRET = "correct horse battery"


class TestProxy(auth.AuthSuite, unittest.TestCase):
    def make_driver(self) -> proxy.ProxyAuth:
        store = memory.MemoryStore()
        for number, (name, enabled) in enumerate({"ann": True, "bob": False}.items()):
            user = users.User(id=f"id-{number}", name=name, enabled=enabled, created_at=0.0, updated_at=0.0)
            store.commit(
                [],
                [
                    base.Put(keys.join(keys.USERS, user.id), codec.encode(user)),
                    base.Put(keys.join(keys.USER_NAMES, name), codec.encode(user.id)),
                ],
            )
        return proxy.ProxyAuth(auth.group(proxy.ProxyAuth, "proxy", secret=SECRET), store)

    def good(self) -> Mapping[str, str]:
        return {"X-REMOTE-USER": "ann", "X-REMOTE-SECRET": SECRET}

    def bad(self) -> Sequence[Mapping[str, str]]:
        return [
            {"X-REMOTE-USER": "ann"},
            {"X-REMOTE-USER": "ann", "X-REMOTE-SECRET": "a guess"},
            {"X-REMOTE-USER": "bob", "X-REMOTE-SECRET": SECRET},
            {"X-REMOTE-USER": "nobody", "X-REMOTE-SECRET": SECRET},
        ]

    def test_a_secret_that_can_be_guessed_stops_the_start(self) -> None:
        with self.assertRaisesRegex(ValueError, "secret"):
            proxy.ProxyAuth(auth.group(proxy.ProxyAuth, "proxy", secret="short"), memory.MemoryStore())
