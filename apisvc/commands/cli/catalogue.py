"""``apisvc flavor ...`` and ``image ...``."""

from collections.abc import Iterable, Mapping
from typing import Any

from apisvc.commands.cli import base


class _Listing(base.List):
    """Those the tenant can use; all of them with ``--all``."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("--all", action="store_true", help="As admins see them, in no tenant.")
        return parser

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        resource = self.resource()
        found: Iterable[base.Dict] = resource.list() if options.all else resource.available(self.tenant)
        return found

    def resource(self) -> Any:
        raise NotImplementedError


class _One(base.Show):
    kind: str

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument(self.kind, help="Name or id.")
        return parser


class _Showing(_One):
    def get_parser(self, prog_name: str) -> base.Parser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--all", action="store_true", help="As admins see it, in no tenant.")
        return parser


class _Delete(base.Command):
    kind: str

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument(self.kind, help="Name or id.")
        return parser


def _add_sizes(parser: base.Parser, required: bool) -> None:
    parser.add_argument("--description", metavar="TEXT")
    parser.add_argument("--vcpus", type=int, metavar="N", required=required)
    parser.add_argument("--ram-mb", type=int, metavar="N", required=required)
    parser.add_argument("--disk-gb", type=int, metavar="N", required=False)


class FlavorCreate(base.Show):
    """Create a flavor; for admins."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("name")
        _add_sizes(parser, required=True)
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        fields = base.given(options, "name", "description", "vcpus", "ram_mb", "disk_gb")
        return self.api.flavors.create(**fields)


class FlavorList(_Listing):
    """List the flavors."""

    fields = {name: name for name in ("id", "name", "vcpus", "ram_mb", "disk_gb", "description")}

    def resource(self) -> Any:
        return self.api.flavors


class FlavorShow(_Showing):
    """Show a flavor."""

    kind = "flavor"

    def answer(self, options: base.Options) -> base.Dict:
        if options.all:
            return self.api.flavors.get(options.flavor)
        return self.api.flavors.show(self.tenant, options.flavor)


class FlavorUpdate(_One):
    """Change a flavor; for admins. Instances keep the sizes they were made with."""

    kind = "flavor"

    def get_parser(self, prog_name: str) -> base.Parser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--name", help="A new name.")
        _add_sizes(parser, required=False)
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        fields = base.changes(options, "name", "description", "vcpus", "ram_mb", "disk_gb")
        return self.api.flavors.update(options.flavor, **fields)


class FlavorDelete(_Delete):
    """Delete a flavor; for admins. Instances keep their sizes."""

    kind = "flavor"

    def take_action(self, parsed_args: base.Options) -> None:
        self.api.flavors.delete(parsed_args.flavor)


def _add_references(parser: base.Parser, required: bool) -> None:
    parser.add_argument("--description", metavar="TEXT")
    parser.add_argument(
        "--reference",
        action="append",
        required=required,
        type=base.pair("a reference"),
        metavar="DRIVER=REFERENCE",
        help="What a driver, or one backend, knows it by; may be repeated.",
    )


class ImageCreate(base.Show):
    """Create an image; for admins."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("name")
        _add_references(parser, required=True)
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        fields = base.given(options, "name", "description")
        return self.api.images.create(**fields, references=dict(options.reference))


class ImageList(_Listing):
    """List the images."""

    fields = {name: name for name in ("id", "name", "references", "description")}

    def shown(self, options: base.Options) -> Mapping[str, str]:
        """Which driver knows it by what is for admins."""
        return {name: name for name in self.fields if name != "references" or options.all}

    def resource(self) -> Any:
        return self.api.images


class ImageShow(_Showing):
    """Show an image."""

    kind = "image"

    def answer(self, options: base.Options) -> base.Dict:
        if options.all:
            return self.api.images.get(options.image)
        return self.api.images.show(self.tenant, options.image)


class ImageUpdate(_One):
    """Change an image; for admins. Instances keep what they were made from."""

    kind = "image"

    def get_parser(self, prog_name: str) -> base.Parser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--name", help="A new name.")
        _add_references(parser, required=False)
        parser.add_argument("--unset-reference", action="append", metavar="DRIVER", help="Take it away.")
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        base.changes(options, "name", "description", "reference", "unset_reference")
        fields = base.given(options, "name", "description")
        revision = None
        if options.reference or options.unset_reference:
            now = self.api.images.get(options.image)
            revision = now["revision"]
            fields["references"] = base.merged(now["references"], options.reference, options.unset_reference)
        return self.api.images.update(options.image, if_match=revision, **fields)


class ImageDelete(_Delete):
    """Delete an image; for admins. Instances keep what they were made from."""

    kind = "image"

    def take_action(self, parsed_args: base.Options) -> None:
        self.api.images.delete(parsed_args.image)
