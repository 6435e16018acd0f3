"""The compiled descriptors are those of rpc.proto."""

import importlib.resources
import re
import unittest

from apisvc.storage.etcd import protocol

FIELD = re.compile(r"^\s*(?:repeated )?[\w.]+ (\w+) = (\d+);")


class TestProtocol(unittest.TestCase):
    def setUp(self) -> None:
        text = importlib.resources.files(protocol.__package__).joinpath("rpc.proto").read_text()
        self.lines = text.splitlines()
        self.protocol = protocol.load()

    def test_every_field_of_the_text_is_compiled_and_no_other(self) -> None:
        written: dict[str, dict[str, int]] = {}
        enum = False
        for line in self.lines:
            if found := re.match(r"message (\w+)", line):
                message = written.setdefault(found[1], {})
            elif re.match(r"\s*enum ", line):
                enum = True
            elif line.strip() == "}":
                enum = False
            elif (field := FIELD.match(line)) and not enum:
                message[field[1]] = int(field[2])
        compiled = {
            name: {field.name: field.number for field in kind.DESCRIPTOR.fields}
            for name, kind in self.protocol._messages.items()
        }
        self.assertEqual(written, compiled)

    def test_every_method_of_the_text_is_compiled_and_no_other(self) -> None:
        written = {}
        for line in self.lines:
            if found := re.match(r"service (\w+)", line):
                service = found[1]
            elif found := re.match(r"\s*rpc (\w+)\((stream )?", line):
                written[f"{service}/{found[1]}"] = found[2] is not None
        self.assertEqual(written, {name: m.streaming for name, m in self.protocol.methods.items()})

    def test_the_messages_are_in_no_shared_pool(self) -> None:
        from google.protobuf import descriptor_pool

        with self.assertRaises(KeyError):
            descriptor_pool.Default().FindMessageTypeByName("etcdserverpb.RangeRequest")

    def test_a_name_that_etcd_does_not_have(self) -> None:
        with self.assertRaises(AttributeError):
            self.protocol.NoSuchRequest  # noqa: B018
