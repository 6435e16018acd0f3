"""Plug-ins for apisvc: the compute driver ``folder`` and the route package ``report``."""
