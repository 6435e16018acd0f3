"""Plug-ins: entry points of four groups, loaded by name. Nothing else imports stevedore.

A named plug-in that is missing, broken, listed twice, or written for another
contract stops the start with one line. What nobody named is not even imported.
"""

import dataclasses
import importlib.metadata
import inspect
import logging
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oslo_config import cfg
from stevedore import named

from apisvc import conf as own
from apisvc import errors
from apisvc.auth import base as auth
from apisvc.compute import base as compute
from apisvc.conf import files
from apisvc.storage import base as storage
from apisvc.web import operation

if TYPE_CHECKING:
    from apisvc.service import services

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Kind:
    """An entry-point group and the contract that its plug-ins fulfil."""

    group: str
    contract: type
    version: str


STORAGE = Kind("apisvc.storage", storage.Store, storage.CONTRACT)
COMPUTE = Kind("apisvc.compute", compute.ComputeDriver, compute.CONTRACT)
AUTH = Kind("apisvc.auth", auth.AuthDriver, auth.CONTRACT)
ROUTES = Kind("apisvc.routes.v1", operation.Routes, operation.CONTRACT)

#: Of every backend group, beside the driver's own.
BACKEND_OPTS = [
    cfg.StrOpt("driver", help="Compute driver, by entry-point name in the group apisvc.compute."),
]

#: Groups of the libraries that apisvc uses.
_LIBRARIES = frozenset({"oslo_policy"})
_BACKEND_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def load_store(conf: cfg.ConfigOpts) -> storage.Store:
    """The store of ``[storage] driver``; nothing of it is opened yet."""
    name = conf.storage.driver
    driver = load(STORAGE, name, "[storage] driver")
    _configure(conf, name, _options(STORAGE, name, driver))
    store: storage.Store = _built(STORAGE, name, driver, conf[name])
    return store


def load_auth(conf: cfg.ConfigOpts, store: storage.Store) -> list[auth.AuthDriver]:
    """The drivers of ``[auth] drivers``, in that order."""
    loaded = []
    for name in _names(conf.auth.drivers, "[auth] drivers"):
        driver = load(AUTH, name, "[auth] drivers")
        _configure(conf, name, _options(AUTH, name, driver))
        loaded.append(_built(AUTH, name, driver, conf[name], store))
    return loaded


def load_routes(conf: cfg.ConfigOpts, services: "services.Services") -> list[operation.Routes]:
    """The route packages of ``[api] routes``, in that order."""
    return [
        _built(ROUTES, name, load(ROUTES, name, "[api] routes"), services)
        for name in _names(conf.api.routes, "[api] routes")
    ]


def load_backends(conf: cfg.ConfigOpts) -> dict[str, compute.LoadedBackend]:
    """The backends of ``[DEFAULT] enabled_backends``, in that order, by name."""
    where = "[DEFAULT] enabled_backends"
    loaded = {}
    for name in _names(conf.enabled_backends, where):
        _check_backend_name(conf, name, where)
        if name not in conf.list_all_sections():
            raise errors.StartError(
                f"{where} names {name!r}, but there is no group [{name}]; "
                f"add it with 'driver' set to one of: {_available(COMPUTE)}"
            )
        conf.register_opts(BACKEND_OPTS, group=name)
        driver_name = conf[name].driver
        if not driver_name:
            raise errors.StartError(f"[{name}] driver: is not set; valid: {_available(COMPUTE)}")
        driver = load(COMPUTE, driver_name, f"[{name}] driver")
        _configure(conf, name, [*BACKEND_OPTS, *_options(COMPUTE, driver_name, driver)])
        context = compute.BackendContext(
            name=name,
            owner=conf.deployment,
            conf=conf[name],
            state_dir=os.path.join(conf.state_dir, "backends", name),
        )
        loaded[name] = compute.LoadedBackend(
            name, driver_name, _built(COMPUTE, driver_name, driver, context, group=name)
        )
    return loaded


def stray(conf: cfg.ConfigOpts) -> list[str]:
    """A line for every setting and group of the files that means nothing to apisvc."""
    drivers = {point.name for kind in (STORAGE, AUTH) for point in _points(kind)}
    return files.stray(conf, drivers | _LIBRARIES | set(conf.enabled_backends))


def list_opts() -> list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]]:
    """The options of apisvc's own drivers, for the sample file and the docs (``oslo.config.opts``)."""
    described: list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]] = []
    for kind in (STORAGE, AUTH, COMPUTE):
        for point in sorted(_points(kind), key=lambda point: point.name):
            if point.dist is None or point.dist.name != "apisvc":
                continue
            options = load(kind, point.name, kind.group).options()
            if kind is COMPUTE:
                title = f"A backend with driver = {point.name}; the group bears the backend's own name"
                described.append((cfg.OptGroup(point.name, title, title + "."), [*BACKEND_OPTS, *options]))
            elif options and point.name not in {m.GROUP.name for m in own.MODULES if m.GROUP}:
                title = f"The {point.name} driver of {kind.group}"
                described.append((cfg.OptGroup(point.name, title, title + "."), options))
    return described


def load(kind: Kind, name: str, where: str) -> Any:
    """The class that the plug-in ``name`` gives, checked against its contract.

    ``where`` says what in the configuration named it, for the line of the error.
    """
    listed = list(importlib.metadata.entry_points(group=kind.group, name=name))
    if not listed:
        raise errors.StartError(
            f"{where}: no plug-in {name!r} in {kind.group}; installed: {_available(kind)}"
        )
    if len(listed) > 1:
        raise _refused(kind, name, "the name is given twice; uninstall one of them")
    failures: list[BaseException] = []
    try:
        manager: named.NamedExtensionManager[Any] = named.NamedExtensionManager(
            kind.group,
            names=[name],
            on_load_failure_callback=lambda manager, entry_point, error: failures.append(error),
            warn_on_missing_entrypoint=False,
        )
    except AssertionError as error:  # the one Exception that stevedore lets through
        failures.append(error)
    if failures:
        raise _failed(kind, name, "it cannot be imported", failures[0])
    if name not in manager.names():
        raise _refused(kind, name, "stevedore's cache does not know it; remove ~/.cache/python-entrypoints")
    plugin = manager[name].plugin
    if problem := _mismatch(kind, plugin):
        raise _refused(kind, name, problem)
    return plugin


def _mismatch(kind: Kind, plugin: Any) -> str | None:
    """Why ``plugin`` does not fulfil the contract; None: it does."""
    wanted = f"{kind.contract.__module__}.{kind.contract.__name__}"
    if not (inspect.isclass(plugin) and issubclass(plugin, kind.contract)):
        return f"it is no subclass of {wanted}"
    if inspect.isabstract(plugin):
        missing = ", ".join(sorted(getattr(plugin, "__abstractmethods__", ())))
        return f"it does not implement {missing} of {wanted}"
    stated = getattr(plugin, "contract", None)
    major, minor = (int(part) for part in kind.version.split("."))
    valid = f"valid: {major}.0 to {kind.version}" if minor else f"valid: {kind.version}"
    match = re.fullmatch(r"(\d+)\.(\d+)", stated) if isinstance(stated, str) else None
    if match is None:
        return f"it states no contract version ('contract' is {stated!r}); {valid}"
    if int(match[1]) != major or int(match[2]) > minor:
        return f"it is written for contract {stated}; {valid}"
    return None


def _built(kind: Kind, name: str, plugin: Any, *args: Any, group: str | None = None) -> Any:
    """An object of the plug-in; a ValueError of its own says what in its group cannot be right."""
    try:
        return plugin(*args)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise errors.StartError(f"[{group or name}] {kind.group} plug-in {name!r}: {reason}") from None
    except Exception as error:
        raise _failed(kind, name, "it cannot be built", error) from error


def _options(kind: Kind, name: str, plugin: Any) -> list[cfg.Opt]:
    """What the plug-in's ``options()`` gives."""
    try:
        options = list(plugin.options())
    except Exception as error:
        raise _failed(kind, name, "its options() fails", error) from error
    for option in options:
        if not isinstance(option, cfg.Opt):
            raise _refused(kind, name, f"its options() gives {option!r}, which is no option of oslo.config")
    return options


def _configure(conf: cfg.ConfigOpts, group: str, options: Sequence[cfg.Opt]) -> None:
    """Register a plug-in's options in its group and look at every value there."""
    conf.register_group(cfg.OptGroup(group))  # also where there are no options
    try:
        conf.register_opts(options, group=group)
    except cfg.DuplicateOptError as error:
        raise errors.StartError(
            f"[{group}] {error.opt_name}: two plug-ins declare this option differently"
        ) from None
    files.check(conf, group, options)
    for line in files.unknown(conf, group, options):
        LOG.warning("%s", line)


def _check_backend_name(conf: cfg.ConfigOpts, name: str, where: str) -> None:
    if not _BACKEND_NAME.fullmatch(name):
        raise errors.StartError(
            f"{where}: {name!r} is no name for a backend; valid: 1 to 63 letters, digits, '.', '_' or '-', "
            "with a letter or digit at both ends"
        )
    taken = {module.GROUP.name if module.GROUP else "DEFAULT" for module in own.MODULES}
    taken |= {*_LIBRARIES, conf.storage.driver, *conf.auth.drivers}
    if name in taken:
        raise errors.StartError(
            f"{where}: {name!r} cannot be a backend, because [{name}] holds apisvc's own options; "
            "choose another name"
        )


def _names(listed: Sequence[str], where: str) -> Sequence[str]:
    """The names of a list option; no name may stand in it twice."""
    for name in listed:
        if listed.count(name) > 1:
            raise errors.StartError(f"{where}: {name!r} stands there twice")
    return listed


def _failed(kind: Kind, name: str, what: str, error: BaseException) -> errors.StartError:
    LOG.debug("plug-in %s of %s", name, kind.group, exc_info=error)
    return _refused(kind, name, " ".join(f"{what}: {type(error).__name__}: {error}".split()))


def _refused(kind: Kind, name: str, reason: str) -> errors.StartError:
    found = " and ".join(
        f"{point.value} (distribution {point.dist.name} {point.dist.version})" if point.dist else point.value
        for point in importlib.metadata.entry_points(group=kind.group, name=name)
    )
    return errors.StartError(
        f"{kind.group} plug-in {name!r}: found {found}: {reason}; installed: {_available(kind)}"
    )


def _points(kind: Kind) -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=kind.group)


def _available(kind: Kind) -> str:
    names = {point.name for point in _points(kind)}
    if names:
        return ", ".join(sorted(names))
    return "none (apisvc itself is not installed here: pip install .)"
