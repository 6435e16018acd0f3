"""``Cache-Control: max-stale``: a client that rather reads something old than nothing.

Reads are current, and 503 while the store is out of reach. A GET with
``Cache-Control: max-stale=60`` is then answered from the mirror, if what that
has was current at most 60 seconds ago; the answer's ``Age`` says how old it is.
"""

import math
import re

import falcon

_DIRECTIVE = re.compile(r'(?:^|,)\s*max-stale\s*(?:=\s*"?(\d{1,9})"?\s*)?(?=,|$)', re.IGNORECASE)


def asked(req: falcon.Request, most: float) -> float:
    """The seconds that the client allows, and at most ``most``; 0: only current answers."""
    header = req.env.get("HTTP_CACHE_CONTROL")
    if header is None or req.method not in ("GET", "HEAD"):
        return 0.0
    found = _DIRECTIVE.search(header)
    if found is None:
        return 0.0
    return min(float(found[1]), most) if found[1] else most


def tell(resp: falcon.Response, age: float | None) -> None:
    """Say how old the answer is, if it is."""
    if age is not None:
        resp.set_header("Age", str(math.ceil(age)))
