"""A route package that is made of modules."""

from collections.abc import Sequence
from types import ModuleType
from typing import ClassVar

from oslo_policy import policy

from apisvc.web import operation


class Package(operation.Routes):
    """Gives what its modules give, in their order, which is that of the API document."""

    contract = operation.CONTRACT
    #: Each has ``RULES``, the default policy of its operations, and ``operations(services)``.
    modules: ClassVar[Sequence[ModuleType]]

    def operations(self) -> Sequence[operation.Operation]:
        return [op for module in self.modules for op in module.operations(self.services)]

    @classmethod
    def policies(cls) -> Sequence[policy.DocumentedRuleDefault]:
        return [rule for module in cls.modules for rule in module.RULES]
