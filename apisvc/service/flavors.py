"""The rules of flavors."""

from apisvc.model import catalogue as model
from apisvc.model import keys
from apisvc.service import catalogue, records


class Flavors(catalogue.Catalogue[model.Flavor]):
    """The catalogue of sizes."""

    entries = records.Named("flavor", model.Flavor, keys.FLAVORS, keys.FLAVOR_NAMES)
