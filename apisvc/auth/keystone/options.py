"""The options of ``[keystone]``."""

from collections.abc import Mapping, Sequence

from oslo_config import cfg

from apisvc.model import identity

_OPTS = [
    cfg.URIOpt(
        "auth_url",
        schemes=["http", "https"],
        help="The identity service, as in https://keystone.example.org:5000/v3. Only its version 3 is spoken.",
    ),
    cfg.StrOpt(
        "username",
        help="The user as whom Keystone is asked about tokens. It needs a role that Keystone's policy lets "
        "validate tokens, such as 'service' in the services' project.",
    ),
    cfg.StrOpt("user_domain_name", default="Default", help="The domain of 'username'."),
    cfg.StrOpt("password", secret=True, help="The password of 'username'."),
    cfg.StrOpt("project_name", default="service", help="The project that 'username' logs in to."),
    cfg.StrOpt("project_domain_name", default="Default", help="The domain of 'project_name'."),
    cfg.StrOpt(
        "application_credential_id",
        help="An application credential to log in with, instead of 'username', 'password' and 'project_name'.",
    ),
    cfg.StrOpt(
        "application_credential_secret", secret=True, help="The secret of 'application_credential_id'."
    ),
    cfg.StrOpt(
        "cafile",
        help="A file with the authorities that may have signed Keystone's certificate; the default is those "
        "that the Python package certifi brings.",
    ),
    cfg.StrOpt("certfile", help="A file with a certificate to show to Keystone."),
    cfg.StrOpt("keyfile", help="A file with the key of 'certfile'."),
    cfg.BoolOpt("insecure", default=False, help="Trust any certificate. Never where it matters."),
    cfg.FloatOpt(
        "timeout",
        default=5.0,
        min=0.1,
        help="Seconds that a request waits for Keystone. After them it is answered with 503.",
    ),
    cfg.IntOpt(
        "calls",
        default=32,
        min=1,
        help="Calls to Keystone that a process has under way at once; a request that needs one more is "
        "answered with 503.",
    ),
    cfg.IntOpt(
        "failures",
        default=3,
        min=1,
        help="Failures in a row after which a process leaves Keystone alone for 'pause' seconds, so that "
        "nobody waits for it; requests whose token it does not remember are answered with 503.",
    ),
    cfg.FloatOpt("pause", default=5.0, min=0.1, help="Seconds: see 'failures'."),
    cfg.FloatOpt(
        "cache_time",
        default=60.0,
        min=0.0,
        help="Seconds for which a process remembers what Keystone said of a token, and so the longest time "
        "in which one that was revoked is still good. 0: Keystone is asked with every request.",
    ),
    cfg.IntOpt(
        "cache_size", default=10000, min=1, help="How many tokens a process remembers, the last ones used."
    ),
    cfg.DictOpt(
        "roles",
        default={"admin": "manager", "manager": "manager", "member": "member", "reader": "reader"},
        help="What a role in a Keystone project is in its tenant: manager, member or reader. Of several the "
        "highest counts; a role that is not listed is none. The admin of a project is by itself no admin of "
        "apisvc.",
    ),
    cfg.ListOpt(
        "admin_roles",
        default=["admin"],
        help="Roles that make an admin of apisvc: in a token of the scope 'system', or of one of "
        "'admin_projects'.",
    ),
    cfg.ListOpt(
        "admin_projects",
        default=[],
        help="Ids of the projects in which 'admin_roles' make an admin of apisvc, for clouds whose admins do "
        "not use the scope 'system'.",
    ),
    cfg.ListOpt(
        "service_roles",
        default=["service"],
        help="Roles of which the bearer of an X-Service-Token needs one. With it a service can finish what it "
        "began for a user whose token has expired meanwhile.",
    ),
    cfg.BoolOpt(
        "create_tenants",
        default=False,
        help="Make the tenant of a project when its first user arrives, with the default quota. Otherwise an "
        "admin makes it, with the project's id as its own.",
    ),
]


def listed() -> Sequence[cfg.Opt]:
    return _OPTS


def check(conf: cfg.ConfigOpts.GroupAttr) -> None:
    """:raises ValueError: an option whose value cannot be right."""
    if not conf.auth_url:
        raise ValueError("auth_url is not set; it is the URL of Keystone, as in http://127.0.0.1:5000/v3")
    if conf.application_credential_id:
        _require(conf, "application_credential_secret", "application_credential_id is set")
    else:
        for name in ("username", "password"):
            _require(conf, name, "application_credential_id is not set")
    if conf.keyfile and not conf.certfile:
        raise ValueError("keyfile is set, and certfile is not")
    roles(conf.roles)


def _require(conf: cfg.ConfigOpts.GroupAttr, name: str, because: str) -> None:
    if not conf[name]:
        raise ValueError(f"{name} is not set, and has to be where {because}")


def roles(listed: Mapping[str, str]) -> dict[str, identity.Role]:
    """The option ``roles`` by Keystone's names."""
    valid = ", ".join(identity.Role)
    found = {}
    for theirs, ours in listed.items():
        try:
            found[theirs] = identity.Role(ours)
        except ValueError:
            raise ValueError(f"roles: {ours!r} for {theirs!r} is no role; valid: {valid}") from None
    return found
