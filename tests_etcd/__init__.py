"""Tests on real etcd members: ``tox -e etcd``.

They are a folder of their own, so that ``tox`` and ``stestr run`` need no etcd.
"""
