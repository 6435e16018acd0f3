"""A scratch venv with a package from ``examples/``, as somebody has who installed it beside apisvc."""

import pathlib
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping

from tests.functional.commands import running


def install(source: pathlib.Path, copy: pathlib.Path, folder: pathlib.Path) -> str:
    """The interpreter of a venv in ``folder`` with ``source``, and for the rest what this one has.

    The package is built from a ``copy``, so that no build lies in the tree.
    """
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    venv.create(folder, symlinks=True)
    python = str(folder / "bin" / "python")
    site = pathlib.Path(
        output(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    )
    (site / "outer.pth").write_text(f"{sysconfig.get_path('purelib')}\n{running.TREE}\n")
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
