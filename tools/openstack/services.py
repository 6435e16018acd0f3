"""The services of a lab: how each is started, and when it is ready."""

import contextlib
import datetime
import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterable

from tools import places, processes
from tools.openstack import catalogue, configs, install, layout

#: Those with an API over HTTP, and its WSGI module.
APIS = {
    "keystone": "keystone.wsgi.api",
    "placement": "placement.wsgi.api",
    "glance": "glance.wsgi.api",
    "neutron": "neutron.wsgi.api",
    "nova-api": "nova.wsgi.osapi_compute",
    "cinder-api": "cinder.wsgi.api",
}
#: Those of Cinder that take their orders from the broker.
CINDER = ("cinder-scheduler", "cinder-volume")
COMPUTES = tuple(f"nova-compute-{host}" for host in layout.HOSTS)
#: In the order in which they are started.
ALL = (
    "mariadb",
    "rabbitmq",
    "keystone",
    "placement",
    "nova-api",
    "neutron",
    "nova-conductor",
    "nova-scheduler",
    "glance",
    "cinder-api",
    "cinder-scheduler",
    "cinder-volume",
    *COMPUTES,
)
#: Seconds within which a service is ready, on a busy machine.
READY = 300.0


def up(lab: layout.Lab) -> None:
    """Start what does not run, and wait until all of it is ready."""
    processes.thaw(lab.folder)
    begin = time.time()
    fresh = [name for name in ALL if not _runs(lab, name)]
    # As many at once as can be, for each spends seconds on nothing but its imports.
    _launch(lab, fresh, ["mariadb"])
    wait_ready(lab, "mariadb")
    _launch(lab, fresh, ["rabbitmq", *APIS])
    wait_ready(lab, "keystone")
    catalogue.write(lab)
    # These log in at their start.
    _launch(lab, fresh, ["nova-conductor", "nova-scheduler", "cinder-scheduler", "cinder-volume"])
    wait_ready(lab, "nova-conductor", begin if "nova-conductor" in fresh else 0.0)
    _launch(lab, fresh, COMPUTES)
    for name in ALL:
        wait_ready(lab, name, begin if name in fresh else 0.0)


def _launch(lab: layout.Lab, fresh: Collection[str], names: Iterable[str]) -> None:
    for name in names:
        if name in fresh:
            launch(lab, name)


def start(lab: layout.Lab, name: str) -> None:
    """Start one, and wait until it is ready; as it is, where it runs."""
    begin = time.time()
    if not _runs(lab, name):
        launch(lab, name)
        wait_ready(lab, name, begin)


def _runs(lab: layout.Lab, name: str) -> bool:
    # Of RabbitMQ's processes the port mapper goes on alone.
    return bool(processes.find(lab.folder, name, "beam.smp" if name == "rabbitmq" else None))


def restart(lab: layout.Lab, name: str) -> None:
    """SIGKILL, and the start of another."""
    processes.kill(lab.folder, name)
    start(lab, name)


def launch(lab: layout.Lab, name: str) -> None:
    """Start it and do not wait."""
    if name == "rabbitmq":
        _launch_rabbitmq(lab)
        return
    if name == "mariadb":
        command, own = mariadb(lab)
    elif name in APIS:
        # Not as arguments, which the services would read, too.
        own = {"GUNICORN_CMD_ARGS": f"--config {lab.folder}/etc/gunicorn.conf.py"}
        own |= {"WSGI_APP": APIS[name], "WSGI_PORT": str(lab.ports[name])}
        command = [lab.program("gunicorn")]
    elif name == "cinder-volume":
        command, own = [lab.program("python"), str(layout.HERE / "cinder_volume.py")], {}
    elif name == "cinder-scheduler":
        command, own = [lab.program(name)], {}
    else:
        command, own = [lab.program(name)], {}
        host = name.removeprefix("nova-compute-")
        if name in COMPUTES:
            command = [lab.program("python"), str(layout.HERE / "nova_compute.py")]
        command += ["--config-file", f"{lab.folder}/etc/nova/{host if name in COMPUTES else 'nova'}.conf"]
    processes.spawn(lab.folder, name, command, {**environment(lab), **own})


def environment(lab: layout.Lab) -> dict[str, str]:
    """Of every service: nothing of the caller's, and each folder one of the lab's."""
    etc = lab.folder / "etc"
    return {
        "PATH": f"{lab.installed}/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(lab.folder),
        "TMPDIR": str(lab.folder / "tmp"),
        "LANG": "C.UTF-8",
        "PYTHONWARNINGS": "ignore",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Process titles may not overwrite the environment: the lab's processes are found by it.
        "SPT_NOENV": "1",
        "OS_KEYSTONE_CONFIG_DIR": f"{etc}/keystone",
        "OS_PLACEMENT_CONFIG_DIR": f"{etc}/placement",
        "OS_GLANCE_CONFIG_DIR": f"{etc}/glance",
        "OS_NEUTRON_CONFIG_DIR": f"{etc}/neutron",
        "OS_NEUTRON_CONFIG_FILES": "neutron.conf;ml2_conf.ini",
        "OS_NOVA_CONFIG_DIR": f"{etc}/nova",
        "OS_NOVA_CONFIG_FILES": "api-paste.ini;nova.conf",
    }


def mariadb(lab: layout.Lab) -> tuple[list[str], dict[str, str]]:
    """Command and environment."""
    usr = lab.installed / "debian" / "usr"
    command = [str(usr / "sbin/mariadbd"), "--no-defaults", f"--basedir={usr}"]
    command += [f"--datadir={lab.folder}/mariadb", f"--socket={lab.folder}/tmp/mariadb.sock"]
    command += [f"--pid-file={lab.folder}/tmp/mariadb.pid", f"--port={lab.ports['mariadb']}"]
    command += ["--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin", "--max-connections=500"]
    # What is committed survives the end of the process, not that of the machine.
    command += ["--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=0", "--innodb-log-file-size=16M"]
    command += ["--innodb-buffer-pool-size=128M", "--performance-schema=OFF"]
    if os.getuid() == 0:
        command.append("--user=root")
    return command, {**environment(lab), "LD_LIBRARY_PATH": install.libraries(lab.installed)}


def _launch_rabbitmq(lab: layout.Lab) -> None:
    usr, etc, data = lab.installed / "debian" / "usr", lab.folder / "etc/rabbitmq", lab.folder / "rabbitmq"
    processes.kill(lab.folder, "rabbitmq")
    # Nothing in the broker is worth being kept.
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    own = {
        "HOME": str(data),
        "PATH": f"{usr}/lib/erlang/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": install.libraries(lab.installed),
        "ERL_EPMD_PORT": str(lab.ports["epmd"]),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": "lab@localhost",
        "RABBITMQ_DIST_PORT": str(lab.ports["rabbitmq-peers"]),
        "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
        "RABBITMQ_LOG_BASE": str(lab.folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(etc / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(etc / "enabled_plugins"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        # No shell around it, and no spinning.
        "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
    }
    # Erlang would put its port mapper into the background, where it outlives everything.
    epmd = [f"{usr}/lib/erlang/bin/epmd", "-port", own["ERL_EPMD_PORT"], "-address", "127.0.0.1"]
    processes.spawn(lab.folder, "rabbitmq", epmd, {**environment(lab), **own})
    places.wait("epmd listens", lambda: listens(lab.ports["epmd"]), 60)
    (server,) = (usr / "lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server")
    processes.spawn(lab.folder, "rabbitmq", [str(server)], {**environment(lab), **own})


def wait_ready(lab: layout.Lab, name: str, since: float = 0.0) -> None:
    """Until it does what it is for; ``since``: what it reported earlier does not count (seconds since 1970)."""

    def alive() -> bool:
        if not processes.find(lab.folder, name):
            log = lab.folder / "log" / f"{name}.log"
            raise places.LabError(f"{name} ended: {log.read_text(errors='replace')[-3000:]}")
        return ready(lab, name, since)

    places.wait(f"{name} is ready (its log is in {lab.folder}/log)", alive, READY)


def ready(lab: layout.Lab, name: str, since: float = 0.0) -> bool:
    """Whether it does what it is for, now; ``since`` as in :func:`wait_ready`."""
    if name in ("mariadb", "rabbitmq"):
        return listens(lab.ports[name])
    if name in APIS:
        return _answers(lab, name)
    if name in CINDER:
        host = "lab@nowhere" if name == "cinder-volume" else "lab"
        return _heard(lab, "cinder-api", "/v3", name, host, since)
    return _reports(lab, name, since) and (name not in COMPUTES or _schedulable(lab, name))


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def _answers(lab: layout.Lab, name: str) -> bool:
    """gunicorn listens before its worker is up, so the port says nothing."""
    try:
        with urllib.request.urlopen(lab.url(name), timeout=60):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def _reports(lab: layout.Lab, name: str, since: float) -> bool:
    host = name.removeprefix("nova-compute-") if name in COMPUTES else layout.HOSTS[0]
    return _heard(lab, "nova-api", "/v2.1", "nova-compute" if name in COMPUTES else name, host, since)


def _heard(lab: layout.Lab, api: str, root: str, binary: str, host: str, since: float) -> bool:
    """Whether the API has heard of the service since then."""
    with contextlib.suppress(OSError):
        for service in catalogue.ask(lab, api, f"{root}/os-services")["services"]:
            if (service["binary"], service["host"], service["state"]) == (binary, host, "up"):
                heard = datetime.datetime.fromisoformat(service["updated_at"] or "1970-01-01T00:00:00")
                return heard.replace(tzinfo=datetime.UTC).timestamp() >= since - 1
    return False


def _schedulable(lab: layout.Lab, name: str) -> bool:
    """Whether servers can be put there: Nova has mapped the host, and Placement knows what it has."""
    node = configs.node(name.removeprefix("nova-compute-"))
    with contextlib.suppress(OSError):
        nodes = catalogue.ask(lab, "nova-api", "/v2.1/os-hypervisors", version="compute 2.53")["hypervisors"]
        path = f"/resource_providers/{node}/inventories"
        return node in {n["id"] for n in nodes} and bool(catalogue.ask(lab, "placement", path)["inventories"])
    return False
