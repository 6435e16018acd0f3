"""Images and flavors: found by id and name, changed, listed, deleted."""

from apisvc import errors
from apisvc.model import keys
from apisvc.schemas import images as image_schemas
from tests.unit.service import instances_case


class CatalogueTest(instances_case.InstancesCase):
    def test_an_image_is_found_by_both_and_renamed(self):
        images = self.services.images
        body = image_schemas.ImageUpdate(name="base", references={"fake": "alpine"})
        done = images.update(self.context(), "host", body)
        for ref in (self.host.id, "base"):
            self.assertEqual(done.result, images.get(self.context(), ref).value)
        self.assertRaises(errors.NotFound, images.get, self.context(), "host")
        self.assertEqual("image.update", self.actions()[-1])
        self.assertRaises(errors.AlreadyExists, self.image, "base", fake="x")
        images.delete(self.context(), "base")
        self.assertEqual([], [k for k in self.raw() if k.startswith((keys.IMAGES, keys.IMAGE_NAMES))])
        self.assertRaises(errors.NotFound, images.delete, self.context(), self.host.id)

    def test_if_match_and_pages(self):
        flavors = self.services.flavors
        found = flavors.get(self.context(), "small")
        self.assertRaises(
            errors.PreconditionFailed, flavors.delete, self.context(if_match=found.revision + 1), "small"
        )
        page = flavors.list(self.context(), self.page(limit=1))
        self.assertEqual("small", page.items[0].value.name)
        page = flavors.list(self.context(), self.page(marker=page.marker))
        self.assertEqual((["large"], None), ([i.value.name for i in page.items], page.marker))
