"""etcd's v3 messages and methods, without generated code.

``rpc.binpb`` is a compiled ``FileDescriptorSet``. Its classes are built in a
descriptor pool of our own, so they clash neither with another etcd package in
this process nor with any version of protobuf.
"""

import dataclasses
import functools
import importlib.resources
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "etcdserverpb"


@dataclasses.dataclass(frozen=True)
class Method:
    """A remote procedure as grpc wants it."""

    path: str
    streaming: bool
    serialize: Callable[[Any], bytes]
    deserialize: Callable[[bytes], Any]


class Protocol:
    """``protocol.RangeRequest(...)`` makes a message; ``protocol.methods["KV/Range"]`` is a Method."""

    def __init__(self, compiled: bytes) -> None:
        pool = descriptor_pool.DescriptorPool()
        files = descriptor_pb2.FileDescriptorSet.FromString(compiled)
        for file in files.file:
            pool.Add(file)
        self._messages: dict[str, Any] = {
            message.name: message_factory.GetMessageClass(
                pool.FindMessageTypeByName(f"{PACKAGE}.{message.name}")
            )
            for file in files.file
            for message in file.message_type
        }
        self.methods: Mapping[str, Method] = {
            f"{service.name}/{method.name}": Method(
                path=f"/{PACKAGE}.{service.name}/{method.name}",
                streaming=method.client_streaming,
                serialize=self._messages[method.input_type.rsplit(".", 1)[1]].SerializeToString,
                deserialize=self._messages[method.output_type.rsplit(".", 1)[1]].FromString,
            )
            for file in files.file
            for service in file.service
            for method in service.method
        }

    def __getattr__(self, name: str) -> Any:
        try:
            return self._messages[name]
        except KeyError:
            raise AttributeError(name) from None


@functools.cache
def load() -> Protocol:
    """The one Protocol of this process; building it takes a few milliseconds."""
    return Protocol(importlib.resources.files(__package__).joinpath("rpc.binpb").read_bytes())
