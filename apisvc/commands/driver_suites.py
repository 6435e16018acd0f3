"""The shipped suites, made for a driver that is known by its entry point and its options."""

import dataclasses
import os
import unittest
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from oslo_config import cfg

from apisvc import errors, plugins
from apisvc.compute import base as compute
from apisvc.conf import files
from apisvc.storage import base as storage

T = TypeVar("T")

#: The group of the backend under check.
BACKEND = "check"


class Setup:
    """A configuration that has the driver and its options, and nothing else.

    ``folder`` is the deployment's ``state_dir``; it goes away with the check.
    """

    def __init__(self, kind: plugins.Kind, name: str, options: Mapping[str, str], folder: str) -> None:
        #: What the plug-in gives.
        self.driver: Any = plugins.load(kind, name, "NAME")
        self._group = name if kind is plugins.STORAGE else BACKEND
        self._file = os.path.join(folder, "apisvc.conf")
        lines = ["[DEFAULT]", f"state_dir = {folder}", f"enabled_backends = {BACKEND}"]
        lines += ["[storage]", f"driver = {name}"] if kind is plugins.STORAGE else []
        lines += [f"[{self._group}]", *(f"{option} = {value}" for option, value in options.items())]
        lines += [f"driver = {name}"] if kind is plugins.COMPUTE else []
        with open(self._file, "w") as file:
            file.write("\n".join(lines) + "\n")
        self._check_names()

    def _check_names(self) -> None:
        """A service only warns of an option that nobody has; here it is a mistake."""
        known = [*self.driver.options()]
        if self._group == BACKEND:
            known += plugins.BACKEND_OPTS
        unknown = self._told(lambda: files.unknown(self._conf(), self._group, known))
        if unknown:
            raise errors.StartError(
                unknown[0].replace(f" in {self._file}", "").replace("; it is ignored", "")
            )

    def store(self) -> storage.Store:
        """A store as the options say."""
        return self._told(lambda: plugins.load_store(self._conf()))

    def compute(self, owner: str) -> compute.ComputeDriver:
        """A driver as the options say, for a deployment named ``owner``."""

        def load() -> compute.ComputeDriver:
            conf = self._conf()
            conf.set_override("deployment", owner)
            return plugins.load_backends(conf)[BACKEND].driver

        return self._told(load)

    def _conf(self) -> cfg.ConfigOpts:
        return files.read(["--config-file", self._file])

    def _told(self, call: Callable[[], T]) -> T:
        """``call()``; the file is ours, so no error speaks of it."""
        try:
            return call()
        except errors.StartError as error:
            raise errors.StartError(error.detail.replace(f" in {self._file}", "")) from None


def storage_suite(setup: Setup) -> type[unittest.TestCase]:
    """The storage suite on one store, which must be empty and is emptied after each scenario.

    :raises StartError: the store is not empty, or ``hypothesis`` is not installed.
    :raises StoreUnavailable: it cannot be reached.
    """
    try:
        # Only who checks a storage driver needs hypothesis.
        from apisvc.testing import storage as suite
    except ModuleNotFoundError as error:
        raise errors.StartError(
            f"the storage suite needs {error.name}, which comes with: pip install 'apisvc[testing]'"
        ) from None
    _require_empty(setup)

    class StorageCheck(suite.StorageSuite, unittest.TestCase):
        cannot = suite.limitations(setup.driver)

        def make_store(self) -> storage.Store:
            # Where nothing is shared, each store is new.
            if setup.driver.shared:
                self.addCleanup(self._empty)
            return setup.store()

        def _empty(self) -> None:
            store = setup.store()
            try:
                suite.empty(store)
            finally:
                store.close()

        def another_handle(self) -> storage.Store:
            return setup.store()

    return StorageCheck


def _require_empty(setup: Setup) -> None:
    store = setup.store()
    try:
        store.ping()
        found = store.scan("", limit=1).records
    except errors.ApisvcError:
        raise
    except Exception as error:
        raise errors.StartError(
            f"{setup.driver.__qualname__} cannot even be asked whether it is empty: "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    finally:
        store.close()
    if found:
        raise errors.StartError(
            f"the store is not empty (it holds {found[0].key!r}), and the check deletes all that is in it: "
            "give it a store of its own"
        )


@dataclasses.dataclass(frozen=True)
class Trial:
    """What the compute suite runs on a backend: fields of :class:`apisvc.compute.base.Workload`.

    ``{code}`` in ``exiting`` stands for the exit code. ``options`` are those
    without which the driver could not be judged at all.
    """

    running: Mapping[str, Any]
    exiting: Mapping[str, Any] | None
    invalid: Mapping[str, Any]
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)


_SHELL = ["/bin/sh", "-c"]

#: For a backend that runs commands.
COMMANDS = Trial(
    running={"command": _SHELL, "args": ["echo one; echo two; echo three; exec sleep 600"]},
    exiting={"command": _SHELL, "args": ["exit {code}"]},
    invalid={"command": ["no-such-program-anywhere"], "args": []},
)
#: Drivers for which the defaults are others.
TRIALS: Mapping[str, Trial] = {
    "kubernetes": Trial(
        running=COMMANDS.running,
        exiting=COMMANDS.exiting,
        # That a program is missing shows only when it is run.
        invalid={"env": {"NOT=A=NAME": "value"}},
        # The usual images for a try have root for their user.
        options={"run_as_user": "65534", "stop_grace": "1"},
    ),
    "fake": Trial(
        running={"labels": {"fake.log": "one\ntwo\nthree"}},
        exiting={"labels": {"fake.exit": "{code}"}},
        invalid={"labels": {"fake.delay": "soon"}},
        # Several drivers, as of several processes, must find the same things.
        options={"state_file": "$state_dir/fake.sqlite"},
    ),
}


def compute_suite(setup: Setup, trial: Trial, image: str, seconds: float) -> type[unittest.TestCase]:
    """The compute suite on one backend, which is left as it was.

    ``seconds``: what the backend may take for any one thing.
    """
    from apisvc.testing import compute as suite

    class ComputeCheck(suite.ComputeSuite, unittest.TestCase):
        # What it has it declares by inheriting it.
        capabilities = compute.capabilities(setup.driver)
        patience = seconds

        def make_driver(self, owner: str) -> compute.ComputeDriver:
            return setup.compute(owner)

        def running(self) -> Mapping[str, Any]:
            return {"image": image, **trial.running}

        def exiting(self, code: int) -> Mapping[str, Any] | None:
            return None if trial.exiting is None else _filled(trial.exiting, code)

        def invalid(self) -> Mapping[str, Any]:
            return trial.invalid

    return ComputeCheck


def _filled(value: Any, code: int) -> Any:
    """``value`` with the exit code in all its texts."""
    match value:
        case str():
            return value.replace("{code}", str(code))
        case dict():
            return {name: _filled(item, code) for name, item in value.items()}
        case list():
            return [_filled(item, code) for item in value]
    return value
