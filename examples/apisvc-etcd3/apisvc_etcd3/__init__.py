"""A storage driver for apisvc on the PyPI package ``etcd3``."""
