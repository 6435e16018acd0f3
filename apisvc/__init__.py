"""One tenant-isolated REST API in front of Kubernetes clusters and OpenStack clouds."""

__version__ = "0.1.0"
