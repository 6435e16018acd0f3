"""The documentation pages under ``/docs``: everything from this host, nothing inline but styles."""

import functools
import html
import mimetypes
import re
from typing import Any

import swagger_ui_bundle

from apisvc import errors
from apisvc.web import problems

#: Swagger UI's files that are served; there are more in its folder (source maps).
ASSETS = ("swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "swagger-ui.css", "favicon-32x32.png")

# Swagger UI writes style attributes; everything else comes from files.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}

_STYLE = (
    "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}"
    "td,th{text-align:left;padding:.3em .8em;border-bottom:1px solid #ccc}tr:target{background:#ffc}"
)

HTML = "text/html; charset=utf-8"
SCRIPT = "text/javascript; charset=utf-8"

UI = b"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>apisvc API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" href="/docs/assets/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/swagger-ui-standalone-preset.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

START = b"""window.ui = SwaggerUIBundle({
  url: "/docs/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "BaseLayout",
  validatorUrl: null
});
"""


@functools.cache
def asset(name: str) -> tuple[bytes, str]:
    """A file of Swagger UI, and its media type.

    :raises NotFound: it is none of :data:`ASSETS`.
    """
    if name not in ASSETS:
        raise errors.NotFound.of("asset", name)
    folder: Any = swagger_ui_bundle.swagger_ui_path
    return (folder / name).read_bytes(), mimetypes.guess_type(name)[0] or "application/octet-stream"


@functools.cache
def problem_page() -> bytes:
    """All problem codes, each at the place that ``type`` points to."""
    rows = []
    for kind in problems.catalogue():
        cells = [kind.code, str(kind.status), kind.title, problems.meaning(kind)]
        row = "".join(f"<td>{_html(cell)}</td>" for cell in cells)
        rows.append(f'<tr id="{html.escape(kind.code)}">{row}</tr>')
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>apisvc problems</title>'
        f"<style>{_STYLE}</style></head><body>"
        "<h1>Problems</h1><p>Clients branch on the code; it does not change.</p>"
        "<table><tr><th>Code</th><th>Status</th><th>Title</th><th>Meaning</th></tr>"
        f"{''.join(rows)}</table></body></html>"
    ).encode()


def _html(text: str) -> str:
    """Text with ``literals`` as HTML."""
    return re.sub(r"``(.*?)``", r"<code>\1</code>", html.escape(text))


def as_3_0(node: Any) -> Any:
    """The document for readers that know OpenAPI 3.0 only: null, examples and licenses are written otherwise."""
    if isinstance(node, list):
        return [as_3_0(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: as_3_0(value) for key, value in node.items()}
    if str(made.get("openapi", "")).startswith("3.1"):
        made["openapi"] = "3.0.3"
        made["info"].pop("summary", None)
        made["info"]["license"].pop("identifier", None)
    if isinstance(made.get("examples"), list):
        made["example"] = made.pop("examples")[0]
    options = made.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        others = [one for one in options if one != {"type": "null"}]
        made.pop("anyOf")
        made.update({"allOf": others} if len(others) == 1 else {"anyOf": others}, nullable=True)
    if made.get("type") == "null":
        made.pop("type")
        made.update(enum=[None], nullable=True)
    if "const" in made:
        made["enum"] = [made.pop("const")]
    made.pop("propertyNames", None)
    if made.get("required") == []:
        made.pop("required")
    return made
