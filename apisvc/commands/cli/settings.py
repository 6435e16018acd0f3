"""Whom to talk to: options, environment and profile file, in this order."""

import argparse
import dataclasses
import json
import os
import pathlib
import tomllib
from collections.abc import Mapping

from apisvc.commands.cli import exits

#: What a profile can say.
FIELDS = ("url", "token", "tenant", "cacert")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a command needs to know. ``token`` stays out of ``repr``."""

    url: str | None = None
    token: str | None = dataclasses.field(default=None, repr=False)
    tenant: str | None = None
    cacert: str | None = None


def profile_file(environ: Mapping[str, str]) -> pathlib.Path:
    """``$XDG_CONFIG_HOME/apisvc/config.toml``, by default below ``~/.config``."""
    home = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return pathlib.Path(home) / "apisvc" / "config.toml"


def resolve(options: argparse.Namespace, environ: Mapping[str, str], *, new: bool = False) -> Settings:
    """The settings for ``options``. UsageError names a profile that is broken or, unless ``new``, missing."""
    name = options.profile or environ.get("APISVC_PROFILE")
    profiles = read_profiles(profile_file(environ))
    if name and name not in profiles and not new:
        known = ", ".join(sorted(profiles)) or "none"
        raise exits.UsageError(f"There is no profile {name!r} in {profile_file(environ)} (there: {known}).")
    profile = dict(profiles.get(name or "default", {}))
    given = {
        field: getattr(options, field) or environ.get(f"APISVC_{field.upper()}") or None for field in FIELDS
    }
    if given["url"] and given["url"] != profile.get("url"):
        # APPSEC: a profile's token is for the profile's service and is sent to no other.
        profile.pop("token", None)
    return Settings(**{field: given[field] or profile.get(field) for field in FIELDS})


def read_profiles(path: pathlib.Path) -> dict[str, dict[str, str]]:
    """The profiles in ``path``; none when there is no file."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise exits.UsageError(f"Cannot read the profiles in {path}: {error}") from None
    for name, profile in found.items():
        if not isinstance(profile, dict):
            raise exits.UsageError(f"{path}: {name!r} stands outside of a [profile].")
        for field, value in profile.items():
            if field not in FIELDS or not isinstance(value, str):
                raise exits.UsageError(
                    f"{path}: [{name}] {field} = {value!r}: expected a text under {', '.join(FIELDS)}."
                )
    return found


def write_profile(path: pathlib.Path, name: str, settings: Settings) -> None:
    """Put ``settings`` into ``path`` as profile ``name``, keeping the others. Nobody else can read it."""
    profiles = read_profiles(path)
    profiles[name] = {field: value for field in FIELDS if (value := getattr(settings, field))}
    text = "\n".join(_table(profile, values) for profile, values in profiles.items())
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(
        os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
    fresh.replace(path)


def _table(name: str, values: Mapping[str, str]) -> str:
    # A JSON string that keeps its letters is a TOML string too.
    quoted = [f"{field} = {json.dumps(value, ensure_ascii=False)}\n" for field, value in values.items()]
    return f"[{json.dumps(name, ensure_ascii=False)}]\n" + "".join(quoted)
