"""The options of an OpenStack backend, and what of their values can be judged without asking the cloud."""

import dataclasses
import ipaddress
import re
from collections.abc import Mapping, Sequence

from oslo_config import cfg

PROJECT_PER_TENANT = "project-per-tenant"
SHARED_PROJECT = "shared-project"

OPTIONS: Sequence[cfg.Opt] = (
    # How to get in
    cfg.StrOpt(
        "cloud",
        help="Name of the cloud in clouds.yaml. Unset: auth_url and the options after it say all. Variables "
        "like OS_CLOUD in the environment are never read.",
    ),
    cfg.StrOpt(
        "clouds_yaml",
        help="Path of clouds.yaml. It is read again when the cloud refuses the credentials. Unset: where "
        "openstacksdk looks for it, such as /etc/openstack/clouds.yaml.",
    ),
    cfg.StrOpt("auth_url", help="URL of Keystone, version 3, when no cloud is named."),
    cfg.StrOpt("username", help="User that apisvc is on the cloud."),
    cfg.StrOpt("password", secret=True, help="The user's password."),
    cfg.StrOpt("user_domain", default="Default", help="Name of the user's domain."),
    cfg.StrOpt("project", help="Name of the project that apisvc logs in to."),
    cfg.StrOpt("project_domain", default="Default", help="Name of that project's domain."),
    cfg.StrOpt(
        "application_credential_id",
        help="In place of user and project; it is bound to one project, so tenancy has to be shared-project.",
    ),
    cfg.StrOpt("application_credential_secret", secret=True, help="Its secret."),
    cfg.StrOpt("cacert", help="Path of the CA certificates that the cloud's own are checked against."),
    cfg.BoolOpt("insecure", default=False, help="Do not check the cloud's certificates. For tests only."),
    cfg.StrOpt("region", help="Region of the cloud. Unset: that of clouds.yaml, or the only one."),
    cfg.StrOpt(
        "interface",
        choices=["public", "internal", "admin"],
        default="public",
        help="Which of the endpoints in the catalogue to use.",
    ),
    cfg.FloatOpt(
        "api_timeout",
        default=20.0,
        min=0.1,
        help="Seconds to wait for one answer of the cloud; never longer than what is left for the whole call.",
    ),
    cfg.IntOpt(
        "api_retries",
        default=1,
        min=0,
        help="How often a request that only reads is repeated when the connection fails or the answer is 502, "
        "503 or 504. One that changes something is never repeated blindly.",
    ),
    cfg.FloatOpt(
        "build_timeout",
        default=1800.0,
        min=0.0,
        help="Seconds after which a server that is still in BUILD, and never ran, is deleted and made anew: Nova does not "
        "come back to one that its message broker has forgotten. More than the longest build there is, and than "
        "the clocks differ. 0: never.",
    ),
    cfg.FloatOpt(
        "delete_timeout",
        default=300.0,
        min=0.0,
        help="Seconds after which a server that is still being deleted is deleted again, for the same reason. Its state "
        "is reset before, which takes an administrator of the cloud: else Nova takes no notice. 0: never.",
    ),
    # Tenants
    cfg.StrOpt(
        "tenancy",
        choices=[PROJECT_PER_TENANT, SHARED_PROJECT],
        default=PROJECT_PER_TENANT,
        help="A project for each tenant, which takes an administrator of the cloud, or everything inside the "
        "project that apisvc logs in to.",
    ),
    cfg.StrOpt(
        "tenant_domain", help="Domain, by name or id, of tenants' projects. Unset: that of our own project."
    ),
    cfg.StrOpt("member_role", default="member", help="Role that apisvc gives itself in tenants' projects."),
    cfg.DictOpt(
        "credential_roles",
        default={"manager": "member", "member": "member", "reader": "reader"},
        help="Role in the tenant: role on the cloud of the application credentials that are issued to its members.",
    ),
    # Networks
    cfg.StrOpt(
        "network_policy",
        choices=["own", "shared", "none"],
        default="own",
        help="Where servers are attached whose instance names no networks: a network of the tenant's own, the "
        "one named by 'network', or none.",
    ),
    cfg.StrOpt("network", help="Name or id of the network for network_policy = shared."),
    cfg.StrOpt(
        "external_network",
        help="Name or id of the network that own networks are routed to and public addresses come from. "
        "Unset: own networks have no router, and public addresses are refused.",
    ),
    cfg.StrOpt("network_cidr", default="10.0.0.0/24", help="Addresses of each own network."),
    cfg.ListOpt("dns_servers", default=[], help="Name servers of own networks."),
    cfg.ListOpt(
        "security_groups",
        default=[],
        help="Names or ids of the security groups of servers whose instance names none. Empty: with "
        "network_policy = own the tenant's own group, else the project's default group.",
    ),
    cfg.ListOpt(
        "ingress",
        default=["tcp:22", "icmp"],
        help="What the tenant's own security group lets in, each as protocol[:port[-port][:cidr]]; members of "
        "the group always reach each other.",
    ),
    # Servers
    cfg.StrOpt("availability_zone", help="Availability zone of servers. Unset: the cloud chooses."),
    cfg.DictOpt("flavors", default={}, help="Flavor of apisvc: flavor of the cloud, by name or id."),
    cfg.BoolOpt(
        "manage_flavors",
        default=False,
        help="Make a flavor on the cloud when none has the name and size, or the size, that is needed.",
    ),
    cfg.BoolOpt(
        "boot_from_volume", default=False, help="Put the root disk on a volume of the flavor's disk size."
    ),
    cfg.StrOpt("volume_type", help="Type of the volumes that are made. Unset: the cloud's default."),
    cfg.BoolOpt("config_drive", default=False, help="Give servers their metadata on a config drive too."),
    # Nodes
    cfg.FloatOpt(
        "cpu_allocation_ratio",
        default=16.0,
        min=0.01,
        help="Virtual CPUs that Nova gives away for each CPU of a hypervisor: as in its nova.conf, for its API "
        "does not tell. With a smaller one than Nova's, clouds are taken for full that are not.",
    ),
    cfg.FloatOpt("ram_allocation_ratio", default=1.0, min=0.01, help="The same for memory."),
    cfg.FloatOpt("disk_allocation_ratio", default=1.0, min=0.01, help="The same for disks."),
    cfg.ListOpt(
        "console_types",
        default=["novnc", "spice-html5", "serial", "rdp-html5", "webmks"],
        help="Kinds of console to ask the cloud for, the best first.",
    ),
)

_RULE = re.compile(r"([a-z0-9-]+)(?::(\d+)(?:-(\d+))?)?(?::(.+))?")


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a security group lets in. ``first`` and ``last`` None: every port."""

    protocol: str
    first: int | None
    last: int | None
    cidr: str

    @property
    def ethertype(self) -> str:
        return f"IPv{ipaddress.ip_network(self.cidr).version}"


def rules(texts: Sequence[str]) -> tuple[Rule, ...]:
    """The rules of the option ``ingress``; ValueError says which one is wrong."""
    return tuple(_rule(text.strip()) for text in texts)


def _rule(text: str) -> Rule:
    found = _RULE.fullmatch(text)
    if found is None:
        raise ValueError(f"ingress: {text!r} is not protocol[:port[-port][:cidr]]")
    protocol, first, last, cidr = found.groups()
    low = int(first) if first else None
    high = int(last) if last else low
    if low is not None and high is not None and not 1 <= low <= high <= 65535:
        raise ValueError(f"ingress: the ports of {text!r} are not between 1 and 65535")
    try:
        network = ipaddress.ip_network(cidr or "0.0.0.0/0")
    except ValueError as error:
        raise ValueError(f"ingress: {text!r}: {error}") from None
    return Rule(protocol, low, high, str(network))


def problem(conf: cfg.ConfigOpts.GroupAttr) -> str | None:
    """What cannot be right about the options, naming the option; None: nothing."""
    inline = {
        name: getattr(conf, name)
        for name in ("auth_url", "username", "application_credential_id")
        if getattr(conf, name)
    }
    if conf.cloud and inline:
        return f"cloud: is set, and so is {', '.join(inline)}; one of the two says how to log in"
    if not conf.cloud and not conf.auth_url:
        return "cloud: is not set, and neither is auth_url; one of the two says how to log in"
    if not conf.cloud:
        needed = ("username", "password", "project")
        if conf.application_credential_id:
            needed = ("application_credential_id", "application_credential_secret", "auth_url")
        if missing := [name for name in needed if not getattr(conf, name)]:
            return f"{missing[0]}: is not set; logging in with auth_url takes {', '.join(needed)}"
    if conf.application_credential_id and conf.tenancy == PROJECT_PER_TENANT:
        return f"application_credential_id: is bound to one project; it takes tenancy = {SHARED_PROJECT}"
    if conf.network_policy == "shared" and not conf.network:
        return "network: is not set; network_policy = shared takes the name of a network"
    return _malformed(conf)


def _malformed(conf: cfg.ConfigOpts.GroupAttr) -> str | None:
    try:
        rules(conf.ingress)
    except ValueError as error:
        return str(error)
    try:
        ipaddress.ip_network(conf.network_cidr)
    except ValueError as error:
        return f"network_cidr: {error}"
    known = {"manager", "member", "reader"}
    if wrong := set(conf.credential_roles) ^ known:
        return f"credential_roles: takes a role for each of manager, member and reader; see {', '.join(sorted(wrong))}"
    return None


def inline_auth(conf: cfg.ConfigOpts.GroupAttr) -> Mapping[str, str]:
    """The auth section that the options spell out when no cloud is named."""
    if conf.application_credential_id:
        return {
            "auth_url": conf.auth_url,
            "application_credential_id": conf.application_credential_id,
            "application_credential_secret": conf.application_credential_secret,
        }
    return {
        "auth_url": conf.auth_url,
        "username": conf.username,
        "password": conf.password,
        "user_domain_name": conf.user_domain,
        "project_name": conf.project,
        "project_domain_name": conf.project_domain,
    }
