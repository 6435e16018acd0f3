"""The configuration files of the services of one lab."""

import textwrap
import uuid

from tools.openstack import layout


def write(lab: layout.Lab) -> None:
    """Every file below ``etc``; what is there already is written anew, the same."""
    etc, venv = lab.folder / "etc", lab.installed / "venv"
    files = {
        "keystone/keystone.conf": keystone(lab),
        "placement/placement.conf": placement(lab),
        "glance/glance-api.conf": glance(lab),
        "neutron/neutron.conf": neutron(lab),
        "neutron/ml2_conf.ini": ML2,
        "nova/nova.conf": nova(lab, layout.HOSTS[0]) + databases(lab),
        "nova/api-paste.ini": (venv / "etc/nova/api-paste.ini").read_text(),
        # Where its processes look by themselves: the lab's folder is their home.
        "../.cinder/cinder.conf": cinder(lab),
        "rabbitmq/rabbitmq.conf": rabbitmq(lab),
        "rabbitmq/enabled_plugins": "[].\n",
        "gunicorn.conf.py": GUNICORN,
        "clouds.yaml": clouds(lab),
    }
    for host in layout.HOSTS:
        # A nova-compute may not see a database.
        files[f"nova/{host}.conf"] = nova(lab, host)
        files[f"../nova/{host}/compute_id"] = node(host) + "\n"
    for name, text in files.items():
        path = etc / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)


def node(host: str) -> str:
    """The UUID of a compute node: with another one than last time, nova-compute does not start."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{host}.apisvc.invalid"))


def _login(lab: layout.Lab) -> str:
    """Of the services among themselves."""
    return textwrap.dedent(f"""\
        auth_url = {lab.url("keystone")}/v3
        auth_type = password
        username = services
        password = {lab.passwords["services"]}
        project_name = service
        user_domain_id = default
        project_domain_id = default
        region_name = RegionOne
        """)


def _authtoken(lab: layout.Lab) -> str:
    return (
        "[keystone_authtoken]\n"
        f"www_authenticate_uri = {lab.url('keystone')}/v3\n"
        f"{_login(lab)}"
        "service_token_roles = service\n"
        "service_token_roles_required = true\n"
    )


def keystone(lab: layout.Lab) -> str:
    keys = lab.folder / "keys"
    # Without a folder of receipts, fernet_setup would write to /etc. The cache is the process's own, and there is
    # only one: what is revoked is refused at once.
    return textwrap.dedent(f"""\
        [database]
        connection = {lab.database("keystone")}
        [token]
        provider = fernet
        expiration = 86400
        [identity]
        password_hash_rounds = 4
        [fernet_tokens]
        key_repository = {keys}/fernet
        [fernet_receipts]
        key_repository = {keys}/receipts
        [credential]
        key_repository = {keys}/credential
        [cache]
        enabled = true
        backend = dogpile.cache.memory
        """)


def placement(lab: layout.Lab) -> str:
    return (
        "[placement_database]\n"
        f"connection = {lab.database('placement')}\n"
        "[api]\n"
        "auth_strategy = keystone\n"
        f"{_authtoken(lab)}"
    )


def glance(lab: layout.Lab) -> str:
    stores = lab.folder / "glance"
    return textwrap.dedent(f"""\
        [DEFAULT]
        enabled_backends = files:file
        [database]
        connection = {lab.database("glance")}
        [glance_store]
        default_backend = files
        [files]
        filesystem_store_datadir = {stores}/images
        [os_glance_staging_store]
        filesystem_store_datadir = {stores}/staging
        [os_glance_tasks_store]
        filesystem_store_datadir = {stores}/tasks
        [paste_deploy]
        flavor = keystone
        config_file = {lab.installed}/venv/etc/glance/glance-api-paste.ini
        [oslo_concurrency]
        lock_path = {lab.folder}/tmp
        """) + _authtoken(lab)


def neutron(lab: layout.Lab) -> str:
    return (
        textwrap.dedent(f"""\
        [DEFAULT]
        host = lab
        core_plugin = ml2
        service_plugins = router
        auth_strategy = keystone
        transport_url = {lab.broker}
        api_paste_config = {lab.installed}/venv/etc/neutron/api-paste.ini
        notify_nova_on_port_status_changes = true
        notify_nova_on_port_data_changes = true
        dhcp_agent_notification = false
        state_path = {lab.folder}/neutron
        rpc_response_timeout = 15
        [database]
        connection = {lab.database("neutron")}
        [oslo_concurrency]
        lock_path = {lab.folder}/tmp
        """)
        + f"[nova]\n{_login(lab)}[placement]\n{_login(lab)}{_authtoken(lab)}"
    )


# Ports are bound by the openvswitch mechanism, for agents of which there are only rows (databases.py).
ML2 = textwrap.dedent("""\
    [ml2]
    type_drivers = local,flat,vlan,vxlan
    project_network_types = vxlan
    mechanism_drivers = openvswitch
    extension_drivers = port_security
    [ml2_type_flat]
    flat_networks = *
    [ml2_type_vxlan]
    vni_ranges = 1:1000
    [ml2_type_vlan]
    network_vlan_ranges = physnet1:100:199
    [securitygroup]
    enable_security_group = true
    """)


def nova(lab: layout.Lab, host: str) -> str:
    """Of the nova services on ``host``, without databases."""
    return (
        textwrap.dedent(f"""\
        [DEFAULT]
        host = {host}
        my_ip = 127.0.0.1
        state_path = {lab.folder}/nova/{host}
        transport_url = {lab.broker}
        compute_driver = fake.LastingDriver
        allow_resize_to_same_host = true
        vif_plugging_is_fatal = false
        vif_plugging_timeout = 0
        service_down_time = 60
        report_interval = 5
        rpc_response_timeout = 30
        sync_power_state_interval = -1
        # How often it looks whether a volume is made, and after how many seconds.
        block_device_allocate_retries = 60
        block_device_allocate_retries_interval = 1
        [wsgi]
        api_paste_config = {lab.folder}/etc/nova/api-paste.ini
        [api]
        auth_strategy = keystone
        [conductor]
        workers = 1
        [scheduler]
        workers = 1
        discover_hosts_in_cells_interval = 2
        [filter_scheduler]
        track_instance_changes = false
        [vnc]
        enabled = true
        server_listen = 127.0.0.1
        novncproxy_base_url = http://127.0.0.1:6080/vnc_lite.html
        [oslo_concurrency]
        lock_path = {lab.folder}/tmp
        [glance]
        endpoint_override = {lab.url("glance")}
        """)
        + f"{_login(lab)}[neutron]\nendpoint_override = {lab.url('neutron')}\n{_login(lab)}"
        + f"[cinder]\n{_login(lab)}[placement]\n{_login(lab)}[service_user]\nsend_service_user_token = true\n{_login(lab)}"
        + _authtoken(lab)
    )


def databases(lab: layout.Lab) -> str:
    return (
        f"[api_database]\nconnection = {lab.database('nova_api')}\n"
        f"[database]\nconnection = {lab.database('nova_cell1')}\n"
    )


def cinder(lab: layout.Lab) -> str:
    return (
        textwrap.dedent(f"""\
        [DEFAULT]
        host = lab
        my_ip = 127.0.0.1
        auth_strategy = keystone
        transport_url = {lab.broker}
        api_paste_config = {lab.installed}/venv/etc/cinder/api-paste.ini
        resource_query_filters_file = {lab.installed}/venv/etc/cinder/resource_filters.json
        state_path = {lab.folder}/cinder
        glance_api_servers = {lab.url("glance")}
        enabled_backends = nowhere
        report_interval = 5
        service_down_time = 60
        rpc_response_timeout = 30
        [nowhere]
        volume_driver = cinder.volume.driver.NowhereDriver
        volume_backend_name = nowhere
        [database]
        connection = {lab.database("cinder")}
        [oslo_concurrency]
        lock_path = {lab.folder}/tmp
        [coordination]
        backend_url = file://{lab.folder}/cinder
        """)
        + f"[nova]\n{_login(lab)}[service_user]\nsend_service_user_token = true\n{_login(lab)}{_authtoken(lab)}"
    )


def rabbitmq(lab: layout.Lab) -> str:
    return textwrap.dedent(f"""\
        listeners.tcp.1 = 127.0.0.1:{lab.ports["rabbitmq"]}
        default_user = openstack
        default_pass = {lab.passwords["broker"]}
        vm_memory_high_watermark.absolute = 512MB
        disk_free_limit.absolute = 50MB
        """)


# gunicorn of a service's API; which one, says the environment.
GUNICORN = textwrap.dedent("""\
    import os

    wsgi_app = os.environ["WSGI_APP"]
    bind = "127.0.0.1:" + os.environ["WSGI_PORT"]
    workers = 1
    worker_class = "gthread"
    threads = 8
    timeout = 180
    graceful_timeout = 2
    keepalive = 75
    control_socket_disable = True
    """)


def clouds(lab: layout.Lab) -> str:
    return textwrap.dedent(f"""\
        clouds:
          lab:
            region_name: RegionOne
            identity_api_version: 3
            auth:
              auth_url: {lab.url("keystone")}/v3
              username: admin
              password: {lab.passwords["admin"]}
              project_name: admin
              user_domain_id: default
              project_domain_id: default
        """)
