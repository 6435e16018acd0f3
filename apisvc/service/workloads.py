"""From records to what a compute driver sees."""

from apisvc.compute import base as compute
from apisvc.model import instances, tenants
from apisvc.service import secrets


def tenant_view(tenant: tenants.Tenant) -> compute.TenantView:
    """``tenant`` as drivers see it; its limits are its quota."""
    return compute.TenantView(id=tenant.id, name=tenant.name, limits=tenant.quota.as_dict())


def workload(
    instance: instances.Instance, tenant: tenants.Tenant, secret_box: secrets.SecretBox
) -> compute.Workload:
    """What should be of ``instance``, with what is secret of it decrypted.

    :raises Unavailable: a secret was encrypted with a key that is gone.
    """
    spec = instance.spec
    return compute.Workload(
        id=instance.id,
        name=instance.name,
        tenant=tenant_view(tenant),
        spec_hash=spec.hash,
        image=spec.image_ref,
        vcpus=spec.vcpus,
        ram_mb=spec.ram_mb,
        disk_gb=spec.disk_gb,
        flavor=spec.flavor,
        command=spec.command,
        args=spec.args,
        env=spec.env,
        secret_env={name: unseal(value, secret_box) for name, value in spec.secret_env.items()},
        labels=instance.labels,
        ports=spec.ports,
        ssh_key=spec.ssh_key,
        user_data=unseal(spec.user_data, secret_box) if spec.user_data else "",
        networks=spec.networks,
        security_groups=spec.security_groups,
        public_address=spec.public_address,
        volumes=spec.volumes,
        restart_policy=spec.restart_policy.value,
        power=spec.power.value,
        reboots=spec.reboots,
        handle=instance.status.handle,
    )


def seal(value: str, secret_box: secrets.SecretBox) -> str:
    """``value`` encrypted, as a spec keeps it."""
    return secret_box.encrypt(value.encode()).decode()


def unseal(value: str, secret_box: secrets.SecretBox) -> str:
    """What :func:`seal` was given, or Unavailable when the key is gone."""
    return secret_box.decrypt(value.encode()).decode()
