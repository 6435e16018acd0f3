"""Tests on real etcd members: ``tox -e etcd``.

They are a folder of their own, so that ``tox`` and ``stestr run`` need no etcd.
"""

import os

# Connections that break are what these tests are about; grpc writes several lines on stderr for each.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
