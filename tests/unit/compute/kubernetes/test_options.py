import base64
import unittest

from apisvc import plugins
from apisvc.compute.kubernetes import driver
from tests.unit.compute.kubernetes import cluster


class TestOptions(unittest.TestCase):
    def refused(self, *words, **given):
        with self.assertRaises(ValueError) as caught:
            cluster.settings(**given)
        for word in words:
            self.assertIn(word, str(caught.exception))
        return str(caught.exception)

    def test_a_file_or_its_content(self):
        text = cluster.kubeconfig("http://x")
        self.assertEqual("/etc/kc", cluster.settings(kubeconfig="/etc/kc").kubeconfig)
        for content in (text, base64.b64encode(text.encode()).decode()):
            self.assertEqual("c", cluster.settings(kubeconfig=content).kubeconfig["current-context"])
        self.assertIsNone(cluster.settings(kubeconfig=None, in_cluster=True).kubeconfig)

    def test_what_cannot_be_a_kubeconfig(self):
        self.refused("kubeconfig", "in_cluster", kubeconfig=None)
        self.refused("kubeconfig", "in_cluster", in_cluster=True)
        self.refused("context", kubeconfig=None, in_cluster=True, context="x")
        self.refused("kubeconfig", "absolute path", kubeconfig="relative/file")
        self.refused("kubeconfig", "clusters", kubeconfig="{}")
        told = self.refused("kubeconfig", "no JSON", kubeconfig='{"token": "hunter2"')
        self.assertNotIn("hunter2", told)

    def test_tolerations(self):
        given = ["a=b:NoSchedule", "a", "a:NoExecute", ":NoExecute", "a=b"]
        self.assertEqual(
            (
                {"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"},
                {"key": "a", "operator": "Exists"},
                {"key": "a", "operator": "Exists", "effect": "NoExecute"},
                {"operator": "Exists", "effect": "NoExecute"},
                {"key": "a", "operator": "Equal", "value": "b"},
            ),
            cluster.settings(tolerations=given).tolerations,
        )
        for wrong in ("a=b:Never", "=b", "", "a b"):
            self.refused("tolerations", repr(wrong), tolerations=[wrong])

    def test_names_and_paths(self):
        self.refused("runtime_class", runtime_class="no class")
        self.refused("storage_class", storage_class="UPPER")
        self.refused("image_pull_secret", image_pull_secret="relative")

    def test_it_is_a_plug_in(self):
        self.assertIs(driver.KubernetesDriver, plugins.load(plugins.COMPUTE, "kubernetes", "here"))


class TestImport(unittest.TestCase):
    def test_a_driver_that_asks_nothing_does_not_import_the_client_library(self):
        import subprocess
        import sys

        code = (
            "import sys\n"
            "from tests.unit.compute.kubernetes import cluster\n"
            "cluster.make_driver('http://127.0.0.1:1').close()\n"
            "sys.exit('kubernetes' in sys.modules)"
        )
        self.assertEqual(0, subprocess.run([sys.executable, "-c", code], check=False).returncode)
