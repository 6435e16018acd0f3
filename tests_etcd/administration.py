"""What an administrator of etcd does, by calls that the driver does not need.

Messages of strings only are written by hand: a tag, a length, the bytes.
"""

import grpc

from apisvc.storage.etcd import protocol
from tests_etcd import cluster


def message(*fields: bytes | int) -> bytes:
    """A protobuf message with these fields, numbered from 1."""
    out = b""
    for number, value in enumerate(fields, 1):
        if isinstance(value, int):
            out += bytes([number << 3, value])
        else:
            out += bytes([(number << 3) | 2, len(value)]) + value
    return out


class Administrator:
    """``root`` once authentication is enabled. ``password`` is of every user."""

    password = "not-a-secret"

    def __init__(self, member: cluster.Member) -> None:
        self._member = member
        self._token: str | None = None

    def call(self, method: str, request: bytes) -> bytes:
        metadata = [("token", self._token)] if self._token else []
        with grpc.insecure_channel(self._member.address) as channel:
            answer: bytes = channel.unary_unary(f"/etcdserverpb.{method}")(
                request, timeout=10, metadata=metadata
            )
        return answer

    def enable(self) -> None:
        self.add_user("root")
        self.add_role("root")
        self.grant("root", "root")
        self.call("Auth/AuthEnable", b"")
        self.log_in()

    def log_in(self) -> None:
        self._token = None
        answer = self.call("Auth/Authenticate", message(b"root", self.password.encode()))
        self._token = protocol.load().AuthenticateResponse.FromString(answer).token

    def add_user(self, name: str) -> None:
        self.call("Auth/UserAdd", message(name.encode(), self.password.encode()))

    def remove_user(self, name: str) -> None:
        self.call("Auth/UserDelete", message(name.encode()))

    def add_role(self, name: str) -> None:
        self.call("Auth/RoleAdd", message(name.encode()))

    def grant(self, user: str, role: str) -> None:
        self.call("Auth/UserGrantRole", message(user.encode(), role.encode()))

    def permit(self, role: str, prefix: str) -> None:
        """Read and write everything under ``prefix``."""
        permission = message(2, prefix.encode() + b"/", prefix.encode() + b"0")
        self.call("Auth/RoleGrantPermission", message(role.encode(), permission))
