"""What members' credentials let them do on the cluster, and what not."""

import dataclasses
import uuid
from typing import Any

import kubernetes
import yaml
from kubernetes.client.rest import ApiException

from apisvc.compute import base
from apisvc.testing import backends
from tests_kubernetes import clusters, test_driver_calls


class TestCredentials(test_driver_calls.DriverCase):
    def issue(self, role: str) -> tuple[base.Credential, Any]:
        request = base.CredentialRequest(str(uuid.uuid4()), self.tenant, role, 3600)
        made = self.driver.issue(request, deadline=self.soon())
        client = kubernetes.config.new_client_from_config_dict(yaml.safe_load(made.content))
        return made, kubernetes.client.CoreV1Api(client)

    def refused(self, call: Any, *args: object, **named: object) -> int:
        """The status with which the API server refuses it; 0: it does not."""
        try:
            call(*args, **named)
        except ApiException as error:
            return int(error.status)
        return 0

    def allowed(self, core: Any, verb: str, resource: str, namespace: str) -> bool:
        name, _, subresource = resource.partition("/")
        review = {
            "spec": {
                "resourceAttributes": {
                    "verb": verb,
                    "resource": name,
                    "subresource": subresource,
                    "namespace": namespace,
                }
            }
        }
        authorization = kubernetes.client.AuthorizationV1Api(core.api_client)
        return bool(authorization.create_self_subject_access_review(review).status.allowed)

    def test_a_role_may_do_what_the_api_lets_it_and_no_more(self) -> None:
        workload = self.run_one(secret_env={"PASSWORD": "hunter2"})
        for role, may in (("reader", False), ("member", True), ("manager", True)):
            _, core = self.issue(role)
            listed = core.list_namespaced_pod(self.namespace).items
            self.assertEqual([f"i-{workload.id}"], [pod.metadata.name for pod in listed])
            for verb, resource, allowed in (
                ("get", "pods/log", True),
                ("watch", "events", True),
                ("create", "pods/exec", may),
                ("create", "pods/portforward", may),
                ("create", "pods", False),
                ("patch", "pods", False),
                ("delete", "pods", False),
                ("get", "secrets", False),
                ("list", "secrets", False),
                ("get", "configmaps", False),
                ("create", "serviceaccounts", False),
                ("create", "serviceaccounts/token", False),
                ("create", "rolebindings", False),
                ("update", "resourcequotas", False),
            ):
                with self.subTest(role=role, verb=verb, resource=resource):
                    self.assertEqual(allowed, self.allowed(core, verb, resource, self.namespace))

    def test_another_tenant_is_out_of_reach(self) -> None:
        other = backends.tenant(str(uuid.uuid4()))
        self.addCleanup(self.remove_tenant, other.id)
        self.driver.ensure_tenant(other, deadline=self.soon())
        _, core = self.issue("manager")
        for call, args in (
            (core.list_namespaced_pod, (f"{self.prefix}-{other.id}",)),
            (core.list_pod_for_all_namespaces, ()),
            (core.list_namespace, ()),
            (core.list_node, ()),
            (core.read_namespace, (self.namespace,)),
        ):
            self.assertEqual(403, self.refused(call, *args))

    def test_revoked_is_refused_and_others_are_not(self) -> None:
        (first, gone), (_, stays) = self.issue("reader"), self.issue("reader")
        self.driver.revoke(self.tenant.id, first.id, deadline=self.soon())
        status = clusters.wait_for(
            "it is refused", lambda: self.refused(gone.list_namespaced_pod, self.namespace)
        )
        self.assertIn(status, (401, 403))
        clusters.wait_for(
            "its token is dead", lambda: self.refused(gone.list_namespaced_pod, self.namespace) == 401
        )
        self.assertEqual(0, self.refused(stays.list_namespaced_pod, self.namespace))

    def test_an_expired_one_is_swept_away(self) -> None:
        first, _ = self.issue("reader")
        name = f"c-{first.id}"
        self.core.patch_namespaced_service_account(
            name,
            self.namespace,
            {"metadata": {"annotations": {"apisvc/expires": "2020-01-01T00:00:00+00:00"}}},
        )
        self.assertEqual([], list(self.driver.issued(self.tenant.id, deadline=self.soon())))
        second, _ = self.issue("reader")
        accounts = {
            one.metadata.name for one in self.core.list_namespaced_service_account(self.namespace).items
        }
        self.assertEqual({"default", f"c-{second.id}"}, accounts)

    def test_a_namespace_that_is_not_ours(self) -> None:
        space = clusters.Namespace(clusters.api())
        space.setUp()
        self.addCleanup(space.cleanUp)
        prefix, _, rest = space.name.rpartition("-")
        stranger = dataclasses.replace(self.tenant, id=rest)
        self.driver._names._prefix = prefix  # as if the deployer had chosen it
        with self.assertRaisesRegex(base.InvalidSpec, "namespace_prefix"):
            self.driver.ensure_tenant(stranger, deadline=self.soon())
        self.assertTrue(self.driver.remove_tenant(rest, deadline=self.soon()))
        self.assertIsNone(self.core.read_namespace(space.name).metadata.deletion_timestamp)
        self.driver._names._prefix = self.prefix
