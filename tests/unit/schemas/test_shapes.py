"""What holds for every shape of the API."""

import importlib
import inspect
import pkgutil
import unittest
from collections.abc import Iterator

import msgspec

from apisvc import schemas
from apisvc.schemas import base


def shapes() -> Iterator[type[msgspec.Struct]]:
    for found in pkgutil.iter_modules(schemas.__path__):
        module = importlib.import_module(f"{schemas.__name__}.{found.name}")
        for kind in vars(module).values():
            if (
                inspect.isclass(kind)
                and issubclass(kind, msgspec.Struct)
                and kind.__module__ == module.__name__
            ):
                yield kind


class ShapesTest(unittest.TestCase):
    def test_msgspec_can_read_each_of_them(self) -> None:
        # It looks at constraints only when a shape is first used.
        for kind in shapes():
            with self.subTest(kind.__name__):
                msgspec.json.Decoder(kind)

    def test_what_is_asked_knows_no_unknown_fields(self) -> None:
        for kind in shapes():
            if issubclass(kind, base.Body | base.Query):
                with self.subTest(kind.__name__):
                    self.assertTrue(kind.__struct_config__.forbid_unknown_fields)
