"""All of apisvc in one process: ``python main_dev.py``; or under ``gunicorn main_dev:app``, to try it so."""

import importlib.util
import pathlib
import sys

if importlib.util.find_spec("apisvc") is None:  # a tree that is not installed
    sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))

from apisvc.commands import checkout

checkout.prepare()

from apisvc.commands import dev, devapp, entry

if __name__ == "__main__":
    sys.exit(dev.main())

app = entry.application(devapp.application)
