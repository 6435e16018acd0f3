"""Imports ``etcd3`` beside a protobuf of today.

etcd3 0.12.0 brings messages generated in 2020, which no protobuf from 4 on
takes. So a module of the same content, built from descriptors, stands in the
place of ``etcd3.etcdrpc`` before ``etcd3`` looks for its own. The descriptors
(``rpc.binpb``, which is ``rpc.proto`` compiled by protoc) are put into a pool of
their own, so that no other etcd package in the process is in their way.

    from apisvc_etcd3.rpc import etcd3, etcdrpc
"""

import importlib.resources
import sys
import types
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "etcdserverpb"


def _module(compiled: bytes) -> types.ModuleType:
    """What ``etcd3.etcdrpc`` would be: messages, values of enums, and a stub for each service."""
    pool = descriptor_pool.DescriptorPool()
    made = types.ModuleType("etcd3.etcdrpc", "Built from descriptors by apisvc_etcd3.")
    for file in descriptor_pb2.FileDescriptorSet.FromString(compiled).file:
        pool.Add(file)
        for message in file.message_type:
            described = pool.FindMessageTypeByName(f"{PACKAGE}.{message.name}")
            setattr(made, message.name, message_factory.GetMessageClass(described))
        for enum in file.enum_type:
            for value in enum.value:
                setattr(made, value.name, value.number)
        for service in file.service:
            setattr(made, f"{service.name}Stub", _stub(made, service))
    return made


def _stub(made: types.ModuleType, service: Any) -> type:
    """A class like the generated ones: built with a channel, with a callable for each method."""

    def __init__(self: Any, channel: grpc.Channel) -> None:
        for method in service.method:
            kind = channel.stream_stream if method.client_streaming else channel.unary_unary
            call = kind(
                f"/{PACKAGE}.{service.name}/{method.name}",
                request_serializer=_message(made, method.input_type).SerializeToString,
                response_deserializer=_message(made, method.output_type).FromString,
            )
            setattr(self, method.name, call)

    return type(f"{service.name}Stub", (), {"__init__": __init__})


def _message(made: types.ModuleType, name: str) -> Any:
    return getattr(made, name.rpartition(".")[2])


etcdrpc: Any = _module(importlib.resources.files(__package__).joinpath("rpc.binpb").read_bytes())
sys.modules["etcd3.etcdrpc"] = etcdrpc

import etcd3  # noqa: E402 (it must find the module)

__all__ = ["etcd3", "etcdrpc"]
