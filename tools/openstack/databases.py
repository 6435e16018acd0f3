"""The databases of an empty cloud, made once and kept in the cache: MariaDB's folder, and Keystone's keys."""

import getpass
import grp
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import uuid
from collections.abc import Callable

from tools import places, processes
from tools.openstack import configs, layout, services

NAMES = ("keystone", "placement", "glance", "neutron", "nova_api", "nova_cell0", "nova_cell1", "cinder")
MADE_OF = ("databases.py", "layout.py")
#: What a lab takes over; the passwords are in the databases, too.
KEPT = ("mariadb", "keys", "lab.json")


def prepared(installed: pathlib.Path) -> pathlib.Path:
    """The folder with what a new lab begins with; made first where it is not there yet."""
    made = installed / f"databases-{layout.made_of(*MADE_OF)}"
    with places.locked(places.cache("openstack") / "databases.lock"):
        if not made.exists():
            # Its processes too, of a run that was killed.
            draft = installed / "databases-new"
            processes.kill(draft)
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(mode=0o700)
            layout.Lab.lay(draft)
            _make(layout.Lab(draft, installed))
            for entry in list(draft.iterdir()):
                if entry.name not in KEPT:
                    shutil.rmtree(entry)
            draft.rename(made)
    return made


def _make(lab: layout.Lab) -> None:
    print("making the databases", flush=True)
    configs.write(lab)
    scripts = lab.installed / "debian/usr/share/mysql"
    names = ("system_tables", "performance_tables", "system_tables_data")
    (lab.folder / "mariadb").mkdir(mode=0o700)
    _sql(
        lab,
        "create database mysql;\nuse mysql;\nset @auth_root_socket=NULL;\nset @skip_auth_anonymous=1;\n",
        *((scripts / f"mysql_{name}.sql").read_text() for name in names),
        (scripts / "maria_add_gis_sp_bootstrap.sql").read_text(),
    )
    _sql(
        lab,
        "flush privileges;\n",
        *(f"create database {name} character set utf8mb4;\n" for name in NAMES),
        f"create user openstack@'%' identified by '{lab.passwords['database']}';\n",
        "grant all on *.* to openstack@'%';\n",
    )
    services.start(lab, "mariadb")
    try:
        _at_once(lambda: _nova(lab), lambda: _others(lab))
    finally:
        _stop(lab)
    _sql(lab, "use neutron;\n", *(_agent(host) for host in layout.HOSTS))


def _stop(lab: layout.Lab) -> None:
    """MariaDB, in order: what it has is copied for each lab."""
    for process in processes.find(lab.folder, "mariadb"):
        processes.send(process, signal.SIGTERM)
    places.wait("MariaDB stops", lambda: not processes.find(lab.folder, "mariadb"), 60)


def _sql(lab: layout.Lab, *texts: str) -> None:
    """Carried out by a MariaDB that reads nothing else, for there is no client."""
    command, environment = services.mariadb(lab)
    options = ["--bootstrap", "--log-warnings=0", "--enforce-storage-engine=", "--max-allowed-packet=8M"]
    done = subprocess.run(
        [*command, *options],
        input="".join(texts),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment, processes.FOLDER: str(lab.folder), processes.SERVICE: "mariadb"},
        timeout=300,
    )
    if done.returncode or "ERROR" in done.stdout:
        raise places.LabError(f"MariaDB did not take what it was told: {done.stdout[-2000:]}")


def _others(lab: layout.Lab) -> None:
    etc = lab.folder / "etc"
    keystone = ["keystone-manage", "--config-file", f"{etc}/keystone/keystone.conf"]
    user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    owner = ["--keystone-user", user, "--keystone-group", group]
    _manage(lab, *keystone, "db_sync")
    for name in ("fernet", "receipts", "credential"):
        (lab.folder / "keys" / name).mkdir(mode=0o700, exist_ok=True)
    _manage(lab, *keystone, "fernet_setup", *owner)
    _manage(lab, *keystone, "credential_setup", *owner)
    admin = ["--bootstrap-username", "admin", "--bootstrap-project-name", "admin"]
    admin += ["--bootstrap-password", lab.passwords["admin"], "--bootstrap-role-name", "admin"]
    _manage(lab, *keystone, "bootstrap", *admin, "--bootstrap-region-id", "RegionOne")
    _manage(lab, "placement-manage", "--config-file", f"{etc}/placement/placement.conf", "db", "sync")
    _manage(lab, "glance-manage", "--config-file", f"{etc}/glance/glance-api.conf", "db_sync")
    files = ["--config-file", f"{etc}/neutron/neutron.conf", "--config-file", f"{etc}/neutron/ml2_conf.ini"]
    _manage(lab, "neutron-db-manage", *files, "upgrade", "heads")
    _manage(lab, "cinder-manage", "db", "sync")


def _nova(lab: layout.Lab) -> None:
    nova = ["nova-manage", "--config-file", f"{lab.folder}/etc/nova/nova.conf"]
    # Templates, filled from nova.conf: the ports are others in each lab.
    database = "{scheme}://{username}:{password}@{hostname}:{port}"
    _manage(lab, *nova, "api_db", "sync")
    cell0 = ["map_cell0", "--database_connection", f"{database}/nova_cell0?{{query}}"]
    _manage(lab, *nova, "cell_v2", *cell0)
    cell1 = ["create_cell", "--name", "cell1", "--database_connection", f"{database}/{{path}}?{{query}}"]
    _manage(
        lab,
        *nova,
        "cell_v2",
        *cell1,
        "--transport-url",
        "{scheme}://{username}:{password}@{hostname}:{port}/",
    )
    _manage(lab, *nova, "db", "sync")


def _manage(lab: layout.Lab, program: str, *arguments: str) -> None:
    process = processes.spawn(
        lab.folder, program, [lab.program(program), *arguments], services.environment(lab)
    )
    if process.wait(600):
        log = (lab.folder / "log" / f"{program}.log").read_text()
        raise places.LabError(f"{program} {' '.join(arguments)} failed: {log[-3000:]}")


def _agent(host: str) -> str:
    """A row that lets ports be bound on ``host``, though no agent runs: its heartbeat is of the year 2099."""
    configuration = {
        "bridge_mappings": {"physnet1": "br-ex"},
        "tunnel_types": ["vxlan"],
        "tunneling_ip": "127.0.0.1",
        "datapath_type": "system",
        "ovs_hybrid_plug": False,
        "vhostuser_socket_dir": "",
    }
    columns = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"agent.{host}.apisvc.invalid")),
        "agent_type": "Open vSwitch agent",
        "binary": "neutron-openvswitch-agent",
        "topic": "N/A",
        "host": host,
        "availability_zone": "nova",
        "admin_state_up": 1,
        "created_at": "2026-01-01",
        "started_at": "2026-01-01",
        "heartbeat_timestamp": "2099-01-01",
        "load": 0,
        "configurations": json.dumps(configuration),
    }
    names = ", ".join(f"`{name}`" for name in columns)
    values = ", ".join(f"'{value}'" for value in columns.values())
    return f"insert into agents ({names}) values ({values});\n"


def _at_once(*deeds: Callable[[], None]) -> None:
    """Each in a thread of its own; the first failure is raised when all have ended."""
    failures: list[BaseException] = []

    def do(deed: Callable[[], None]) -> None:
        try:
            deed()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=do, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
