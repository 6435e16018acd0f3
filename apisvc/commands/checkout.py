"""Running a source tree that was not installed.

People clone, install requirements.txt, and start ``main_dev.py``. Plug-ins are
found by the metadata of installed distributions, so the tree gets the metadata
that an installation would have written. This comes before all other imports:
who has looked for entry points once remembers what there was.
"""

import configparser
import importlib.metadata
import pathlib
import sys
from collections.abc import Callable

import apisvc

_TREE = pathlib.Path(apisvc.__file__).parent.parent


def _is_installed(folder: pathlib.Path) -> bool:
    """Whether Python knows a distribution apisvc other than the one that we write."""
    try:
        found = importlib.metadata.distribution("apisvc")
    except importlib.metadata.PackageNotFoundError:
        return False
    return pathlib.Path(str(found.locate_file(""))) != folder.parent


def prepare(tree: pathlib.Path = _TREE, installed: Callable[[pathlib.Path], bool] = _is_installed) -> None:
    """Write ``apisvc.egg-info`` into the tree, unless apisvc is installed, this is no such tree, or it is there."""
    setup, folder = tree / "setup.cfg", tree / "apisvc.egg-info"
    if not setup.is_file() or installed(folder):
        return
    listed = folder / "entry_points.txt"
    try:
        if listed.is_file() and listed.stat().st_mtime >= setup.stat().st_mtime:
            return
        folder.mkdir(exist_ok=True)
        (folder / "PKG-INFO").write_text(
            f"Metadata-Version: 2.1\nName: apisvc\nVersion: {apisvc.__version__}\n"
        )
        listed.write_text(entry_points(setup))
    except OSError as error:
        sys.exit(
            f"apisvc: it is not installed, and {error.filename} cannot be written: {error.strerror}; "
            "install it: pip install ."
        )


def entry_points(setup: pathlib.Path) -> str:
    """The text of entry_points.txt that a setup.cfg stands for."""
    read = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read(setup, encoding="utf-8")
    return "".join(f"[{group}]{points}\n" for group, points in read["options.entry_points"].items())
