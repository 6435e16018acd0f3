"""The HTTP stack, in order, on one screen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import falcon
from oslo_config import cfg

from apisvc.auth import base as auth
from apisvc.policies import base as base_policies
from apisvc.routes import root
from apisvc.web import (
    binding,
    cors,
    edge,
    endpoint,
    guard,
    logs,
    metrics,
    operation,
    problems,
    rules,
    streams,
)

if TYPE_CHECKING:
    from apisvc.service import services

App = falcon.App[falcon.Request, falcon.Response]


def create_app(
    conf: cfg.ConfigOpts,
    all_services: "services.Services",
    auth_drivers: Sequence[auth.AuthDriver],
    route_packages: Sequence[operation.Routes],
) -> App:
    """The WSGI application.

    :raises StartError: route packages clash, or the policy is broken.
    """
    logs.install()
    counted = metrics.Metrics()

    # The table: our own operations, then those of each package, in the order configured.
    brought = [(binding.name(routes), binding.brought(routes, "operations")) for routes in route_packages]
    built_in = root.Root(all_services, counted, [op for _, ops in brought for op in ops], conf.api.docs)
    packages = [("apisvc", list(built_in.operations())), *brought]
    operations = binding.check(packages)

    # Who may do what.
    defaults = [
        *base_policies.list_rules(),
        *(rule for routes in route_packages for rule in binding.brought(routes, "policies")),
    ]
    policy = rules.load(conf, defaults, operations)
    the_guard = guard.Guard(auth_drivers, all_services.tenants, policy)

    # The app: what every request passes, what errors become, and the routes.
    app = App(
        middleware=[
            *cors.middleware(conf.api.cors_origins),
            edge.Edge(counted, conf.api.access_log, conf.api.max_headers),
        ]
    )
    app.req_options.strip_url_path_trailing_slash = True
    problems.install(app, counted.error)
    open_streams = streams.Streams(conf.api.max_streams, conf.api.max_streams_per_tenant, counted.streams)
    shared = endpoint.machinery(
        conf,
        the_guard,
        all_services.store,
        all_services.transactor.secrets,
        open_streams,
        counted.terminal,
    )
    binding.bind(app, packages, shared)
    return app
