"""A real OpenStack on loopback, for the tests: see the README beside this file."""
