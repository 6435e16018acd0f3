"""A scratch venv with a package of this tree, as somebody has who installed it."""

import pathlib
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping

from tests.functional.commands import running

#: What is not in a plain copy of a tree: version control, and what was built or run there.
_NOT_COPIED = (".*", "*.egg-info", "build", "__pycache__")


def install(
    source: pathlib.Path,
    copy: pathlib.Path,
    folder: pathlib.Path,
    beside: tuple[pathlib.Path, ...] = (running.TREE,),
) -> str:
    """The interpreter of a venv in ``folder`` with ``source``, and for the rest what this one has.

    The package is built from a ``copy``, so that no build lies in the tree.
    ``beside``: folders whose packages it finds as well; apisvc's own, unless told otherwise.
    """
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    venv.create(folder, symlinks=True)
    python = str(folder / "bin" / "python")
    site = pathlib.Path(
        output(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    )
    places = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *map(str, beside))
    (site / "outer.pth").write_text("\n".join(dict.fromkeys(places)) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    pip += ["--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    output(*pip, str(copy))
    return python


def output(
    *command: str, cwd: pathlib.Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 120
) -> str:
    """What a command prints; AssertionError with all it says when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=cwd, env=env)
    if done.returncode:
        raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout
