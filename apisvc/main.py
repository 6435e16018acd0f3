"""The API under gunicorn: ``gunicorn apisvc.main:app``. Workers run beside it: ``apisvc-worker``.

Reads apisvc.conf (see :mod:`apisvc.conf.files`); the command line is gunicorn's.
"""

import importlib.util
import pathlib
import sys

if importlib.util.find_spec("apisvc") is None:  # ``cd apisvc && gunicorn main:app`` in a tree not installed
    sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))

from apisvc.commands import checkout

checkout.prepare()

from apisvc.commands import assemble, entry

app = entry.application(assemble.production)
