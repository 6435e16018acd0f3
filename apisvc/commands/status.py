"""``apisvc-status upgrade check``: whether this release can start on this configuration and this store."""

import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from apisvc import errors, plugins
from apisvc.commands import assemble, entry, manage_store
from apisvc.conf import files
from apisvc.service import consistency, layout, secrets, unserved

PROG = "apisvc-status"

Result, Code = upgradecheck.Result, upgradecheck.Code


def main(argv: Sequence[str] | None = None) -> int:
    """0: all good; 1: a warning; 2: it will not start (the codes of oslo.upgradecheck)."""
    return entry.run(PROG, _run, argv)


def _run(argv: Sequence[str]) -> int:
    parser = entry.parser(PROG, "Tell in what state a deployment of apisvc is.")
    areas = parser.add_subparsers(metavar="COMMAND", required=True)
    upgrade = areas.add_parser("upgrade", help="this release, and the configuration and data of another")
    actions = upgrade.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="whether this release can start here; changes nothing",
        description="Whether this release can start on this configuration and this store. Changes nothing. "
        "Exit codes: 0 all is well, 1 look at the warnings, 2 it will not start.",
    )
    check.add_argument("--json", action="store_true", help="print the results as JSON")
    entry.add_common(check, again=True)
    arguments = parser.parse_args(argv)
    try:
        conf = entry.configuration(arguments, check=False)
    except errors.StartError as error:
        print(f"{PROG}: {error.detail}", file=sys.stderr)
        return int(Code.FAILURE)
    # NOTE: oslo.upgradecheck looks there for the format, also when its own main() is not used.
    upgradecheck.CONF = SimpleNamespace(command=SimpleNamespace(json=arguments.json))  # type: ignore[assignment]
    return int(Checks(conf).check())


class Checks(upgradecheck.UpgradeCommands):
    """Each looks at one thing; nothing is changed."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf = conf
        self._began = False
        self._upgrade_checks = tuple(
            (title, lambda _, check=check: _guarded(check))
            for title, check in (
                ("Configuration", self.configuration),
                ("Plug-ins", self.plugins),
                ("Encryption keys", self.keys),
                ("Routes and policy", self.application),
                ("Store", self.store),
                ("Records", self.records),
                ("Backends in use", self.backends_in_use),
            )
        )

    def configuration(self) -> str | upgradecheck.Result:
        files.check_own(self.conf)
        ignored = plugins.stray(self.conf)
        if ignored:
            return Result(Code.WARNING, " ".join(ignored))
        return "read from " + (", ".join(files.read_files(self.conf)) or "no file; defaults are in force")

    def plugins(self) -> str:
        store = plugins.load_store(self.conf)
        assemble.require_shared(store, self.conf)
        plugins.load_auth(self.conf, store)
        return "backends: " + (", ".join(plugins.load_backends(self.conf)) or "none")

    def keys(self) -> str:
        secrets.load(self.conf.secrets.key_directory)
        return f"{len(secrets.key_numbers(self.conf.secrets.key_directory))} in the folder"

    def application(self) -> str:
        assemble.application(assemble.assemble(self.conf))
        return ""

    def store(self) -> str:
        store = plugins.load_store(self.conf)
        try:
            said = store.examine(deadline=manage_store.look_until(store))
            if said is None:
                return "not begun yet; the first start does that"
            found = layout.look(store)
        finally:
            store.close()
        self._began = found is not None
        return f"{said}; layout {found}" if self._began else f"{said}; nothing is in it yet"

    def backends_in_use(self) -> str:
        if not self._began:
            return ""
        served, waived = self.conf.enabled_backends, self.conf.unserved_backends
        store = plugins.load_store(self.conf)
        try:
            found = unserved.require_none(store, served, waived, deadline=manage_store.look_until(store))
        finally:
            store.close()
        return ", ".join(f"{name}: {found[name]}" for name in sorted(found)) or "no backend has instances"

    def records(self) -> str | upgradecheck.Result:
        if not self._began:
            return ""
        store = plugins.load_store(self.conf)
        try:
            count, wrong = consistency.check(store)
        finally:
            store.close()
        if not wrong:
            return f"{count}, all of them understood"
        return Result(
            Code.WARNING,
            f"{len(wrong)} of {count} are wrong; apisvc-manage store check lists them. The first: {wrong[0]}",
        )


def _guarded(check: Callable[[], str | upgradecheck.Result]) -> upgradecheck.Result:
    try:
        said = check()
    except errors.ApisvcError as error:
        return Result(Code.FAILURE, error.detail)
    except cfg.Error:
        # It needs a value that is none. oslo.config tells so at the first use only.
        return Result(Code.FAILURE, "not looked at: the configuration is wrong, see above")
    return Result(Code.SUCCESS, said or None) if isinstance(said, str) else said
