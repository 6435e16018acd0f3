"""All of the service layer in one hand: what routes and other faces are built with."""

import dataclasses
from collections.abc import Mapping

from oslo_config import cfg

from apisvc.compute import base as compute
from apisvc.service import context, secrets, transaction
from apisvc.service.access import Access
from apisvc.service.adoption import Adoption
from apisvc.service.backends import Backends
from apisvc.service.events import Events
from apisvc.service.flavors import Flavors
from apisvc.service.images import Images
from apisvc.service.instances import Instances
from apisvc.service.live import Live
from apisvc.service.members import Members
from apisvc.service.nodes import Nodes
from apisvc.service.quotas import Quotas
from apisvc.service.tenants import Tenants
from apisvc.service.tokens import Tokens
from apisvc.service.users import Users
from apisvc.service.workers import Workers
from apisvc.storage import base as storage


@dataclasses.dataclass(frozen=True)
class Services:
    conf: cfg.ConfigOpts
    store: storage.Store
    transactor: transaction.Transactor
    tenants: Tenants
    quotas: Quotas
    users: Users
    members: Members
    tokens: Tokens
    flavors: Flavors
    images: Images
    instances: Instances
    events: Events
    backends: Backends
    workers: Workers
    live: Live
    access: Access
    adoption: Adoption
    nodes: Nodes


def build(
    conf: cfg.ConfigOpts,
    store: storage.Store,
    secret_box: secrets.SecretBox,
    loaded: Mapping[str, compute.LoadedBackend],
    clock: context.Clock | None = None,
    ids: context.Ids | None = None,
) -> Services:
    """Wire the rules to a store and the loaded backends (in the configured order)."""
    transactor = transaction.Transactor(store, secret_box, clock or context.Clock(), ids or context.Ids())
    live = Live(transactor, conf, loaded)
    return Services(
        conf=conf,
        store=store,
        transactor=transactor,
        tenants=Tenants(transactor, conf),
        quotas=Quotas(transactor),
        users=Users(transactor),
        members=Members(transactor),
        tokens=Tokens(transactor, conf),
        flavors=Flavors(transactor),
        images=Images(transactor),
        instances=Instances(transactor, loaded),
        events=Events(transactor, conf),
        backends=Backends(transactor, loaded),
        workers=Workers(transactor),
        live=live,
        adoption=Adoption(transactor, loaded),
        access=Access(transactor, conf, loaded, live),
        nodes=Nodes(transactor, live),
    )
