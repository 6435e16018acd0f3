"""Tests on a real Kubernetes: ``tox -e kubernetes``.

They are a folder of their own, so that ``tox`` and ``stestr run`` need no cluster.
"""
