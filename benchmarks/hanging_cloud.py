"""What a cloud that accepts and never answers costs those who do not use it.

The same load on another backend, once while the cloud is well and once while its
Nova hangs, with instances waiting for it. Prints, for requests and for
instances becoming active, both runs side by side and the ratio of their 99th
percentiles, which is to be at most 1.5::

    tools/openstack/lab.py run -- python -m benchmarks.hanging_cloud [--creates 200]
"""

import argparse
import concurrent.futures
import statistics
import time
from collections.abc import Sequence

from tests.functional import deployment
from tests_openstack import cloud, proxy, site

#: Instances that wait for the cloud meanwhile.
STUCK = 30
CLIENTS = 4


def one(place: site.Site, tenant: str) -> tuple[list[float], float]:
    """Create an instance on the backend ``first``, wait, delete it: seconds of each request, and until it was active."""
    requests, begin = [], time.monotonic()

    def call(method: str, path: str, body: object = None) -> dict[str, object]:
        started = time.monotonic()
        answer = place.service.call(method, path, body)
        requests.append(time.monotonic() - started)
        assert answer.status_code < 300, answer.text
        return dict(answer.json()) if answer.content else {}

    path = f"/v1/tenants/{tenant}/instances"
    made = call("POST", path, {"image": "host", "flavor": "tiny", "backend": "first"})
    there = f"{path}/{made['id']}"
    deployment.wait_for("it is active", lambda: call("GET", there)["status"]["state"] == "active", 120)
    active = time.monotonic() - begin
    call("DELETE", there)
    return requests, active


def load(place: site.Site, tenant: str, creates: int) -> tuple[list[float], list[float]]:
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        done = list(pool.map(lambda _: one(place, tenant), range(creates)))
    return [seconds for requests, _ in done for seconds in requests], [active for _, active in done]


def spread(seconds: Sequence[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return cuts[49], cuts[98]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--creates", type=int, default=200)
    creates = parser.parse_args().creates
    with (
        proxy.Proxy(cloud.connect().endpoint_for("compute")) as between,
        site.Site({"compute": between.url}) as place,
    ):
        private, other = place.tenant("acme"), place.tenant("umbrella")
        load(place, other, 20)  # what is done once
        well = load(place, other, creates)
        between.answering.clear()
        for _ in range(STUCK):
            place.create(private)
        deployment.wait_for("the cloud is being waited for", lambda: between.waited, 120)
        hanging = load(place, other, creates)
        print(
            f"{'seconds':24}{'well: median':>14}{'99 %':>8}{'hanging: median':>18}{'99 %':>8}{'ratio of 99 %':>15}"
        )
        for name, before, after in zip(("a request", "until active"), well, hanging, strict=True):
            (m1, p1), (m2, p2) = spread(before), spread(after)
            print(f"{name:24}{m1:14.3f}{p1:8.3f}{m2:18.3f}{p2:8.3f}{p2 / p1:15.2f}", flush=True)
        between.answering.set()


if __name__ == "__main__":
    main()
