"""``apisvc-manage adopt``: take under management what others made on a backend."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg

from apisvc import errors
from apisvc.commands import assemble, entry
from apisvc.compute import base as compute
from apisvc.service import adoption, context

PROG = "apisvc-manage"
#: Seconds that the backend may take to list what is there, and the store to write an instance.
PATIENCE = 60.0

_COLUMNS = ("HANDLE", "NAME", "STATE", "IMAGE", "VCPUS", "RAM_MB", "DISK_GB", "FLAVOR", "PLACE")


def add(areas: Any) -> None:
    """Add the command to the parser's areas."""
    made = entry.command(
        areas, "adopt", _adopt, "list what others made on a backend, and take some of it under management"
    )
    made.add_argument("--backend", required=True, help="the backend, as in enabled_backends")
    made.add_argument("--tenant", required=True, help="the tenant whose it becomes, by name or id")
    made.add_argument("--dry-run", action="store_true", help="only tell what would come of it")
    made.add_argument(
        "handles",
        nargs="*",
        metavar="HANDLE",
        help="what to adopt, as listed; without any: list what there is",
    )


def _adopt(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    assembly = assemble.assemble(conf)
    try:
        assemble.require_shared(assembly.store, conf)
        assembly.services.tenants.get(_context(), arguments.tenant)
        rules = assembly.services.adoption
        strays = rules.strays(_context(), arguments.backend)
        if not arguments.handles:
            _print_table(rules, arguments.backend, strays)
            return 0
        return _take(rules, arguments, {stray.handle: stray for stray in strays})
    finally:
        assembly.close()


def _context() -> context.Context:
    return context.system(PATIENCE, name=PROG)


def _take(rules: adoption.Adoption, arguments: argparse.Namespace, strays: dict[str, compute.Stray]) -> int:
    """Adopt what is named, each by itself; one that cannot be does not keep the others from it."""
    failed = 0
    for handle in dict.fromkeys(arguments.handles):
        try:
            print(_take_one(rules, arguments, handle, strays.get(handle)))
        except errors.ApisvcError as error:
            print(f"{PROG}: {handle}: {error.detail}", file=sys.stderr)
            failed += 1
    return entry.FAILED if failed else 0


def _take_one(
    rules: adoption.Adoption, arguments: argparse.Namespace, handle: str, stray: compute.Stray | None
) -> str:
    """What came of it. Asked for again, after whatever went wrong, it is done once."""
    if stray is None:
        taken = rules.taken_by(_context(), arguments.backend, handle)
        if taken is None:
            raise errors.NotFound(f"nothing on backend {arguments.backend!r} that could be adopted.")
        return f"{handle} is instance {taken} already"
    adopted = rules.adopt(_context(), arguments.tenant, arguments.backend, stray, rehearse=arguments.dry_run)
    instance = adopted.instance
    amounts = ", ".join(f"{name} {amount}" for name, amount in instance.spec.amounts.as_dict().items())
    if arguments.dry_run:
        return f"{handle} would become instance {instance.name} ({amounts})"
    return f"{handle} is instance {instance.id} {instance.name} now ({amounts})"


def _print_table(rules: adoption.Adoption, backend: str, strays: Sequence[compute.Stray]) -> None:
    rows: list[tuple[str, ...]] = [_COLUMNS]
    for stray in strays:
        flavor, _ = rules.fitting(backend, stray)
        told = (stray.handle, stray.name, stray.phase, stray.image, stray.vcpus, stray.ram_mb, stray.disk_gb)
        rows.append((*map(str, told), flavor.name if flavor else "-", stray.place or "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"{len(strays)} that could be adopted.", file=sys.stderr)
