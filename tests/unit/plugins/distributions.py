"""Distributions made up for a test: a folder on sys.path with metadata and modules."""

import importlib
import pathlib
import sys
import textwrap

import fixtures
import stevedore
from stevedore import _cache


class Distributions(fixtures.Fixture):
    """``add()`` puts a distribution beside the installed ones, until the test ends."""

    def _setUp(self) -> None:
        self._modules = set(sys.modules)
        self.addCleanup(self._forget)

    def add(self, name: str, entry_points: str, modules: dict[str, str] | None = None) -> None:
        """``entry_points`` as in the file entry_points.txt; ``modules``: name -> source."""
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        metadata = folder / f"{name}-1.2.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (metadata / "entry_points.txt").write_text(textwrap.dedent(entry_points))
        for module, source in (modules or {}).items():
            (folder / f"{module}.py").write_text(textwrap.dedent(source))
        sys.path.append(str(folder))
        self.addCleanup(sys.path.remove, str(folder))
        self._fresh()

    def _forget(self) -> None:
        for module in set(sys.modules) - self._modules:
            if module.startswith("made_up"):
                del sys.modules[module]
        self._fresh()

    def _fresh(self) -> None:
        # stevedore remembers entry points for the life of a process.
        stevedore.ExtensionManager.ENTRY_POINT_CACHE.clear()
        _cache._c._internal.clear()
        importlib.invalidate_caches()
