"""Where each record lives in the store. Nobody else writes a key.

======================================  ==========================================
``tenants/{id}``                        Tenant
``tenant-names/{name}``                 tenant id
``ledgers/{tenant}``                    Ledger
``members/{tenant}/{user}``             Member
``memberships/{user}/{tenant}``         Member (the same record, found from the user)
``users/{id}``                          User
``user-names/{name}``                   user id
``admins/{user}``                       user id, of each enabled user with the role admin
``tokens/{sha256 of the secret}``       Token
``token-ids/{user}/{token id}``         sha256 of the secret
``token-tenants/{tenant}/{token id}``   sha256 of the secret, of each token scoped to the tenant
``flavors/{id}``, ``images/{id}``       Flavor, Image
``flavor-names/{name}``, ``image-...``  id
``instances/{tenant}/{id}``             Instance
``instance-names/{tenant}/{name}``      instance id
``instance-tenants/{id}``               tenant id
``adoptions/{backend}/{handle}``        instance id, of each instance that was not made but adopted
``tombstones/{instance}``               Tombstone
``claims/{instance}``                   Claim, leased
``workers/{id}``                        Worker, leased
``backends/{name}``                     Backend
``backend-health/{name}``               BackendHealth
``events/{tenant or -}/{id}``           Event
``replays/{sha256 of user, key}``       Replay
``schema``                              version of this layout
======================================  ==========================================

Ids are UUIDs of version 7, so records lie in the order of their creation.
Names in keys are percent-encoded, so that they cannot leave their place.
"""

import functools
import re
import urllib.parse

#: Version of the layout; data of a newer one is refused.
SCHEMA = "schema"
SCHEMA_VERSION = 1

TENANTS = "tenants/"
TENANT_NAMES = "tenant-names/"
LEDGERS = "ledgers/"
MEMBERS = "members/"
MEMBERSHIPS = "memberships/"
USERS = "users/"
USER_NAMES = "user-names/"
ADMINS = "admins/"
TOKENS = "tokens/"
TOKEN_IDS = "token-ids/"
TOKEN_TENANTS = "token-tenants/"
FLAVORS = "flavors/"
FLAVOR_NAMES = "flavor-names/"
IMAGES = "images/"
IMAGE_NAMES = "image-names/"
INSTANCES = "instances/"
INSTANCE_NAMES = "instance-names/"
INSTANCE_TENANTS = "instance-tenants/"
ADOPTIONS = "adoptions/"
TOMBSTONES = "tombstones/"
CLAIMS = "claims/"
WORKERS = "workers/"
BACKENDS = "backends/"
BACKEND_HEALTH = "backend-health/"
EVENTS = "events/"
REPLAYS = "replays/"

_SAFE = re.compile(r"[A-Za-z0-9_.~-]+").fullmatch

#: Stands for "no tenant" in event keys.
NO_TENANT = "-"


@functools.lru_cache(maxsize=4096)  # PERF: what is asked for is asked for again; half a dozen in each request
def join(prefix: str, *parts: str) -> str:
    """``prefix`` followed by the parts, each made safe, with ``/`` between them."""
    # PERF: Nearly all parts are ids; looking is much cheaper than quoting.
    return prefix + "/".join([part if _SAFE(part) else urllib.parse.quote(part, safe="") for part in parts])


def under(prefix: str, *parts: str) -> str:
    """The prefix of all keys below ``join(prefix, *parts)``."""
    return join(prefix, *parts) + "/"


def last(key: str) -> str:
    """The last part of a key, as it was before :func:`join`."""
    return urllib.parse.unquote(key.rsplit("/", 1)[1])
