"""A short storm (:mod:`tests_etcd.storm`); ``python -m benchmarks.etcd_chaos`` is the long one.

``APISVC_TEST_STORM=982264`` repeats the one of that seed.
"""

import os
import random

import testtools

from tests_etcd import cluster, storm

SECONDS = 25.0


class TestStorm(testtools.TestCase):
    def test_nothing_acknowledged_is_lost(self) -> None:
        cluster.require_killable()
        seed = int(os.environ.get("APISVC_TEST_STORM") or random.randrange(1_000_000))
        with storm.Site() as site:
            blown = storm.Storm(site, seed, pause=(0.5, 2.0))
            blown.blow(SECONDS)
            wrong = blown.judge()
            told = "\n".join([f"seed {seed}", *blown.figures()])
            self.assertEqual([], wrong, f"{told}\n{site.service.log('api.log')}")
        print(told)
        self.assertGreater(len(blown.nemesis.deeds), 2, told)
        self.assertGreater(sum(len(client.deleted) for client in blown.clients), 10, told)
