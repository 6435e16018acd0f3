"""Sphinx configuration: ``tox -e docs`` builds it with warnings as errors."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "_ext"))

project = "apisvc"
copyright = "the apisvc authors"
extensions = [
    "sphinx.ext.autodoc",
    "oslo_config.sphinxext",
    "oslo_policy.sphinxext",
    "stevedore.sphinxext",
    "cliff.sphinxext",
    "tables",
]
exclude_patterns: list[str] = []
html_theme = "furo"
html_title = "apisvc"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
nitpicky = False
