"""Minutes of creates and deletes over HTTP on three etcd members, while something is killed every few seconds.

Kills with SIGKILL, and restarts, etcd members, API processes, the whole API and ``apisvc-worker``; freezes members.
At the end no acknowledged write may be lost, no instance be there twice, and the ledgers must say what is there.
Needs ``etcd`` on PATH. Run from a checkout whose package metadata is known to Python (``pip install -e .``), with
``test-requirements.txt`` installed::

    python -m benchmarks.etcd_chaos [--minutes 3] [--seed N] [--clients 6]
"""

import argparse
import random

from tests_etcd import storm


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=None, help="default: by chance")
    parser.add_argument("--clients", type=int, default=6)
    asked = parser.parse_args()
    seed = random.randrange(1_000_000) if asked.seed is None else asked.seed
    print(f"seed {seed}, {asked.minutes:g} minutes, {asked.clients} clients", flush=True)
    with storm.Site() as site:
        blown = storm.Storm(site, seed, asked.clients)
        blown.blow(asked.minutes * 60)
        wrong = blown.judge()
    print("\n".join(blown.figures()))
    for line in wrong:
        print(f"WRONG: {line}")
    print("failed" if wrong else "passed: nothing lost, nothing twice, ledgers right")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
