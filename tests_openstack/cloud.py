"""The cloud that the tests are run on, and what they make there: all of it is gone after each test."""

import contextlib
import os
import pathlib
import tempfile
import unittest
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import fixtures
import openstack
from openstack import connection, exceptions

from tests.functional import deployment
from tools import processes
from tools.openstack import install, layout, services

#: Seconds for anything that a cloud does, on a busy machine.
PATIENCE = float(os.environ.get("APISVC_TEST_PATIENCE", "240"))


def connect() -> connection.Connection:
    """As the admin that ``OS_CLOUD`` names."""
    if not os.environ.get("OS_CLOUD"):
        raise AssertionError(
            "no cloud: run tox -e openstack, or bring the lab up (tools/openstack/README.md), or set OS_CLOUD"
        )
    return openstack.connect(api_timeout=PATIENCE)


def lab() -> layout.Lab:
    """The lab, for tests that kill its services or close its hosts; SkipTest where the cloud is somebody's."""
    folder = os.environ.get(layout.FOLDER)
    if not folder:
        raise unittest.SkipTest(
            f"NOT RUN: it kills the cloud's services or closes its hosts, and {os.environ.get('OS_CLOUD')!r} is not the lab"
        )
    return layout.Lab(pathlib.Path(folder), install.installed())


@contextlib.contextmanager
def without(name: str) -> Iterator[layout.Lab]:
    """The lab while its service ``name`` is killed; afterwards it is back, and ready."""
    the_lab = lab()
    processes.kill(the_lab.folder, name)
    try:
        yield the_lab
    finally:
        services.start(the_lab, name)


@contextlib.contextmanager
def frozen(name: str) -> Iterator[layout.Lab]:
    """The lab while its service ``name`` accepts and never answers."""
    the_lab = lab()
    processes.freeze(the_lab.folder, name)
    try:
        yield the_lab
    finally:
        processes.thaw(the_lab.folder, name)
        deployment.wait_for(f"{name} answers", lambda: services.ready(the_lab, name), PATIENCE)


class Things(fixtures.Fixture):
    """A flavor, a bigger one, an image and a project with a user, of this test alone."""

    def _setUp(self) -> None:
        self.admin = connect()
        self.addCleanup(self.admin.close)
        #: In the name of everything that is made.
        self.name = f"apisvc-test-{uuid.uuid4().hex[:8]}"

    def made(self, thing: Any, remove: Callable[..., Any]) -> Any:
        """``thing``, which is removed with the test."""

        def undo() -> None:
            with contextlib.suppress(exceptions.NotFoundException):
                remove(thing)

        self.addCleanup(undo)
        return thing

    def flavor(self, suffix: str = "", ram: int = 64, vcpus: int = 1) -> Any:
        compute = self.admin.compute
        made = compute.create_flavor(name=self.name + suffix, ram=ram, vcpus=vcpus, disk=1)
        return self.made(made, compute.delete_flavor)

    def image(self) -> Any:
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"\0" * 65536)
            file.flush()
            made = self.admin.create_image(
                self.name, filename=file.name, disk_format="raw", container_format="bare", wait=True
            )
        return self.made(made, self.admin.image.delete_image)

    def network(self) -> Any:
        network = self.admin.network
        made = self.made(network.create_network(name=self.name), network.delete_network)
        network.create_subnet(name=self.name, network_id=made.id, cidr="10.77.0.0/24", ip_version=4)
        return made

    def project(self, suffix: str = "") -> Any:
        identity = self.admin.identity
        made = identity.create_project(name=self.name + suffix, domain_id="default")
        return self.made(made, identity.delete_project)

    def user(self, project: Any, *roles: str, suffix: str = "") -> "User":
        """One with these roles in the project."""
        identity = self.admin.identity
        password = uuid.uuid4().hex
        made = identity.create_user(name=self.name + suffix, password=password, domain_id="default")
        self.made(made, identity.delete_user)
        for role in roles:
            identity.assign_project_role_to_user(
                project, made, identity.find_role(role, ignore_missing=False)
            )
        return User(self.admin, made.id, made.name, password, project)

    def server(self, network: Any, flavor: Any, image: Any) -> Any:
        """One that is ACTIVE; a copy of what Nova said, to be asked for anew."""
        compute = self.admin.compute
        made = compute.create_server(
            name=self.name, image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}]
        )

        def remove(server: Any) -> None:
            compute.delete_server(server)
            compute.wait_for_delete(server, interval=0.3, wait=PATIENCE)

        self.made(made, remove)
        return self.settled(made)

    def settled(self, server: Any, status: str = "ACTIVE") -> Any:
        """The server, once it has this status and nothing is under way."""
        compute = self.admin.compute

        def found() -> Any:
            now = compute.get_server(server.id)
            if now.status == "ERROR" and status != "ERROR":
                raise AssertionError(f"server {server.id}: {now.fault}")
            return now if now.status == status and now.task_state is None else None

        return deployment.wait_for(f"server {server.id} is {status}", found, PATIENCE)


class User:
    """Somebody in Keystone, in one project."""

    def __init__(
        self, admin: connection.Connection, ident: str, name: str, password: str, project: Any
    ) -> None:
        self.id = ident
        self.name = name
        self.password = password
        self.project = project
        self.auth = {
            "auth_url": admin.config.auth["auth_url"],
            "username": name,
            "password": password,
            "user_domain_id": "default",
        }
        self.region = admin.config.region_name

    def connect(self, **scope: Any) -> connection.Connection:
        """``scope``: instead of the project."""
        auth = {**self.auth, **(scope or {"project_id": self.project.id})}
        return openstack.connect(
            load_envvars=False, load_yaml_config=False, region_name=self.region, auth=auth, api_timeout=60
        )

    def token(self, **scope: Any) -> str:
        with self.connect(**scope) as joined:
            return str(joined.auth_token)
