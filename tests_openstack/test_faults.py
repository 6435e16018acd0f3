"""The cloud's services are killed, hang, and lose answers, while instances come and go; everything is as asked for."""

import testtools

from tests.functional import deployment
from tests_openstack import cloud, proxy, site
from tools import processes
from tools.openstack import services

INSTANCES = 30


class TestKills(testtools.TestCase):
    def test_services_die_in_the_middle_of_thirty_creates_and_deletes(self):
        lab = cloud.lab()
        place = self.useFixture(site.Site())
        tenant = place.tenant("acme")
        made = [place.create(tenant) for _ in range(INSTANCES // 2)]
        victims = iter(list(made))
        deleted = set()
        dying = ("nova-api", "nova-conductor", "rabbitmq", "keystone", "glance")
        for name in dying:
            # Before it dies, for a backend that is known to be out of sight takes none.
            for _ in range(INSTANCES // 2 // len(dying)):
                made.append(place.create(tenant))
                deleted.add(victim := next(victims))
                place.delete(tenant, victim)
            processes.kill(lab.folder, name)
            services.start(lab, name)
        self.assertEqual((INSTANCES, INSTANCES // 2), (len(made), len(deleted)))
        for name in services.ALL:
            services.start(lab, name)  # one that could not live without another, such as nova-conductor
        place.converge(tenant, set(made) - deleted)


class TestVolumesDie(testtools.TestCase):
    def test_servers_with_volumes_are_made_when_cinder_is_back(self):
        place = self.useFixture(site.Site())
        tenant, made = place.tenant("acme"), set()
        for name in ("cinder-api", "cinder-volume"):
            with cloud.without(name):
                one = place.create(tenant, volumes=[1])
                made.add(one)
                found = deployment.wait_for(
                    f"{name} is missed", lambda one=one: place.status(tenant, one)["fault"], site.CONVERGED
                )
                self.assertTrue(found["retryable"], found)
        place.converge(tenant, made)
        volumes = deployment.wait_for(
            lambda: f"one volume for each: {place.volumes()}",
            lambda: found if len(found := place.volumes()) == len(made) else None,
            site.CONVERGED,
        )
        self.assertEqual({"in-use"}, {one.status for one in volumes}, volumes)
        self.assertEqual(
            {one.id for one in place.servers()},
            {attached["server_id"] for one in volumes for attached in one.attachments},
        )


class TestLostAnswers(testtools.TestCase):
    def test_answers_are_lost_after_the_request_was_accepted(self):
        nova = cloud.connect().endpoint_for("compute")
        between = self.useFixture(proxy.Proxy(nova))
        asked = {}

        def loses(method, path):
            """The first two of each kind that change something, then every third."""
            kind = method, path.rsplit("/", 1)[-1][:8]
            if method == "GET":
                return False
            with between.lock:
                asked[kind] = asked.get(kind, 0) + 1
                return asked[kind] <= 2 or asked[kind] % 3 == 0

        place = self.useFixture(site.Site({"compute": between.url}))
        tenant = place.tenant("acme")
        between.loses = loses
        made = [place.create(tenant) for _ in range(10)]
        place.converge(tenant, set(made))
        for victim in made[::2]:
            place.delete(tenant, victim)
        place.converge(tenant, set(made[1::2]))
        created = [one for one in between.lost if one[0] == "POST" and one[1].endswith("/servers")]
        removed = [one for one in between.lost if one[0] == "DELETE" and "/servers/" in one[1]]
        self.assertGreaterEqual(len(created), 2, between.lost)
        self.assertGreaterEqual(len(removed), 2, between.lost)


class TestHanging(testtools.TestCase):
    def test_a_cloud_that_hangs_holds_up_nobody_else(self):
        nova = cloud.connect().endpoint_for("compute")
        between = self.useFixture(proxy.Proxy(nova))
        place = self.useFixture(site.Site({"compute": between.url}))
        private, other = place.tenant("acme"), place.tenant("umbrella")
        between.answering.clear()
        stuck = {place.create(private) for _ in range(10)}
        deployment.wait_for("the cloud is being waited for", lambda: between.waited, site.CONVERGED)
        made = [place.create(other, backend="first") for _ in range(20)]
        for instance in made:
            deployment.wait_for(
                f"{instance} is active",
                lambda instance=instance: place.status(other, instance)["state"] == "active",
                site.CONVERGED,
            )
        states = {one["status"]["state"] for one in place.service.instances(private)}
        self.assertNotIn("active", states)
        between.answering.set()
        place.converge(private, stuck)
