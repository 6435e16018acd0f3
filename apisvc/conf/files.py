"""Reading the configuration files, and saying in one line what is wrong with them.

Where they are, first found:

1. ``--config-file`` and ``--config-dir`` of a command;
2. ``$APISVC_CONFIG_DIR/apisvc.conf`` and ``$APISVC_CONFIG_DIR/apisvc.conf.d/*.conf`` (the way under gunicorn);
3. ``/etc/apisvc/apisvc.conf`` and ``/etc/apisvc/apisvc.conf.d/*.conf``;
4. none: the defaults.
"""

import contextlib
import dataclasses
import glob
import io
import logging
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from oslo_config import cfg, types
from oslo_log import log as oslo_log

from apisvc import errors
from apisvc.conf import MODULES, register

LOG = logging.getLogger(__name__)

#: Names the folder that holds apisvc.conf.
ENVIRONMENT = "APISVC_CONFIG_DIR"
SYSTEM_DIR = "/etc/apisvc"


def read(
    argv: Sequence[str] = (),
    *,
    prog: str = "apisvc",
    conf: cfg.ConfigOpts | None = None,
    environ: Mapping[str, str] = os.environ,
    check: bool = True,
) -> cfg.ConfigOpts:
    """The configuration, every value of apisvc's own groups checked (unless the caller does that).

    ``argv`` is the command line without the program's name; ``conf`` may bring
    options of the command line (also subcommands) beside the common ones.

    :raises StartError: with the one line to print.
    """
    conf = conf or cfg.ConfigOpts()
    register(conf)
    oslo_log.register_options(conf)
    files, folders = places(environ)
    with explained(conf), _no_exit():
        conf(
            list(argv),
            project="apisvc",
            prog=prog,
            default_config_files=files,
            default_config_dirs=folders,
        )
    if check:
        check_own(conf)
    return conf


def places(environ: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The files and folders that are read when the command line names none."""
    folder = environ.get(ENVIRONMENT)
    if folder and not os.path.isfile(os.path.join(folder, "apisvc.conf")):
        raise errors.StartError(f"{ENVIRONMENT}={folder}: there is no file apisvc.conf in it")
    base = os.path.join(folder or SYSTEM_DIR, "apisvc.conf")
    return (
        [base] if os.path.isfile(base) else [],
        [base + ".d"] if os.path.isdir(base + ".d") else [],
    )


def start_logging(conf: cfg.ConfigOpts) -> None:
    """Log as ``[DEFAULT]`` says: ``debug``, ``log_file``, ``use_json`` and the rest of oslo.log's."""
    if not (conf.log_file or conf.log_dir):
        # oslo.log's own choice is standard output, which belongs to what a command prints.
        conf.set_default("use_stderr", True)
    with explained(conf):
        try:
            oslo_log.setup(conf, "apisvc")
        except oslo_log.LogConfigError as error:
            raise errors.StartError(_one_line(error)) from None
        except OSError as error:
            raise errors.StartError(
                f"[DEFAULT] log_file or log_dir: {error.filename}: {error.strerror}"
            ) from None


# What the files say, as they stand


@dataclasses.dataclass(frozen=True)
class Setting:
    """An option as a file sets it."""

    value: str
    file: str


def settings(conf: cfg.ConfigOpts) -> dict[str, dict[str, Setting]]:
    """``{group: {option: Setting}}`` of all files read, later ones over earlier ones."""
    found: dict[str, dict[str, Setting]] = {}
    for file in read_files(conf):
        sections: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(file, sections).parse()
        for group, options in sections.items():
            for name, values in options.items():
                found.setdefault(group, {})[name.replace("-", "_")] = Setting(" ".join(values[-1:]), file)
    return found


def read_files(conf: cfg.ConfigOpts) -> list[str]:
    """The files that were read, in the order in which they count."""
    files = list(conf.config_file or [])
    for folder in conf.config_dir or []:
        files += sorted(glob.glob(os.path.join(folder, "*.conf")))
    return files


def unknown(conf: cfg.ConfigOpts, group: str, options: Sequence[cfg.Opt]) -> list[str]:
    """A line for every setting of a group that no option of it has."""
    names = {name for option in options for name in _names(option)}
    return [
        f"[{group}] {name} in {setting.file}: no such option; it is ignored. Valid: {_listed(o.name for o in options)}"
        for name, setting in settings(conf).get(group, {}).items()
        if name not in names
    ]


def stray(conf: cfg.ConfigOpts, known: Collection[str]) -> list[str]:
    """A line for every setting of apisvc's own groups, and every group, that means nothing; likely typing errors.

    ``known`` names further groups that mean something; so does any that names
    a driver: it is a backend, though perhaps not an enabled one.
    """
    own = {module.GROUP.name: module.OPTS for module in MODULES if module.GROUP}
    lines: list[str] = []
    for group, found in settings(conf).items():
        if group in own:
            lines += unknown(conf, group, own[group])
        elif group == "DEFAULT":
            # Here are also the options of oslo.config and oslo.log, registered by now.
            lines += [_stray_default(name, setting) for name, setting in found.items() if name not in conf]
        elif group not in known and "driver" not in found:
            file = next(iter(found.values())).file if found else ", ".join(read_files(conf))
            lines.append(
                f"[{group}] in {file}: no such group; it is ignored. Valid: "
                + _listed({"DEFAULT", *own, *known, "a backend with its driver"})
            )
    return lines


def _stray_default(name: str, setting: Setting) -> str:
    own = _listed(option.name for module in MODULES if not module.GROUP for option in module.OPTS)
    return f"[DEFAULT] {name} in {setting.file}: no such option; it is ignored. Valid: {own}, and those of oslo.log"


def _names(option: cfg.Opt) -> Iterator[str]:
    yield option.dest
    for old in option.deprecated_opts:
        if old.name:
            yield old.name.replace("-", "_")


# What is wrong


def check_own(conf: cfg.ConfigOpts) -> None:
    """Look at every value of apisvc's own groups."""
    for module in MODULES:
        check(conf, module.GROUP.name if module.GROUP else "DEFAULT", module.OPTS)


def check(conf: cfg.ConfigOpts, group: str, options: Sequence[cfg.Opt]) -> None:
    """Look at every value of ``options``, which oslo.config by itself does at first use only."""
    for option in options:
        try:
            value = conf[option.dest] if group == "DEFAULT" else conf[group][option.dest]
        except (cfg.ConfigSourceValueError, cfg.TemplateSubstitutionError, cfg.NoSuchOptError) as error:
            raise errors.StartError(_wrong(conf, group, option, error)) from None
        if option.required and value is None:
            raise errors.StartError(
                f"[{group}] {option.name}: is required and has no value; it is {describe(option.type)}: {option.help}"
            )


def _wrong(conf: cfg.ConfigOpts, group: str, option: cfg.Opt, error: Exception) -> str:
    setting = settings(conf).get(group, {}).get(option.dest)
    place = re.search(r"detail='([^']*)'", str(error))
    text = f"[{group}] {option.name}"
    if setting:
        text += f" = {setting.value}"
    if setting or place:
        text += f" in {place.group(1) if place else setting.file if setting else ''}"
    if isinstance(error, cfg.NoSuchOptError | cfg.TemplateSubstitutionError):
        return (
            f"{text}: {_one_line(error)}; valid after $: the name of an option; for the sign itself write $$"
        )
    reason = _one_line(error).rpartition("is not valid: ")[2]
    return f"{text}: {reason}; valid: {describe(option.type)}"


def describe(kind: object) -> str:
    """A type of oslo.config in words: what would be valid."""
    match kind:
        case types.Boolean():
            return "true or false"
        case types.List():
            return f"a list with commas, each item {describe(kind.item_type)}"
        case types.String() if kind.choices:
            return "one of " + _listed(kind.choices)
        case types.String() if kind.regex:
            return f"text that matches {kind.regex.pattern}"
        case types.Number():
            noun = "a whole number" if isinstance(kind, types.Integer) else "a number"
            low = f"at least {kind.min}" if kind.min is not None else ""
            high = f"at most {kind.max}" if kind.max is not None else ""
            bounds = " and ".join(part for part in (low, high) if part)
            return f"{noun}, {bounds}" if bounds else noun
    return "text" if isinstance(kind, types.String) else str(kind)


@contextlib.contextmanager
def explained(conf: cfg.ConfigOpts) -> Iterator[None]:
    """Turn what oslo.config raises into a StartError of one line."""
    try:
        yield
    except cfg.ConfigFilesNotFoundError as error:
        raise errors.StartError(f"configuration file not found: {_listed(error.config_files)}") from None
    except cfg.ConfigFilesPermissionDeniedError as error:
        raise errors.StartError(
            f"configuration file cannot be read: permission denied: {_listed(error.config_files)}"
        ) from None
    except cfg.ConfigDirNotFoundError as error:
        raise errors.StartError(f"configuration folder not found: {error.config_dir}") from None
    except (cfg.Error, cfg.ParseError, UnicodeDecodeError) as error:
        raise errors.StartError(f"configuration: {_one_line(error)}") from None


@contextlib.contextmanager
def _no_exit() -> Iterator[None]:
    """oslo.config itself prints and exits with 1 when a file gives a wrong value to an option of the command line."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as end:
        if end.code == 1:
            raise errors.StartError(f"configuration: {' '.join(said.getvalue().split())}") from None
        sys.stderr.write(said.getvalue())
        raise
    sys.stderr.write(said.getvalue())


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(map(str, names))) or "none"
