"""A real Kubernetes on this machine, for tests: ``python3 -m tools.kubernetes --help``.

It needs neither a container engine nor anything that is installed beyond Python; see ``README.md`` here.
"""
