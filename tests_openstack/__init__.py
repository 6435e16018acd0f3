"""Tests on a real OpenStack: ``tox -e openstack``.

They are a folder of their own, so that ``tox`` and ``stestr run`` need no cloud.
"""
