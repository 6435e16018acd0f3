"""The OpenAPI 3.1 document, generated from the table that routes, validates and authorises."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from apisvc import errors
from apisvc.schemas import base
from apisvc.web import etag, operation, problems, versions

_TEMPLATE = "#/components/schemas/{name}"
_REF = "#/components/schemas/"

_DESCRIPTION = """\
One tenant-isolated REST API in front of Kubernetes clusters and OpenStack clouds.

* `{x}` in a path takes an id or a name.
* Errors are `application/problem+json` (RFC 9457); branch on their `code`, which never changes.
* Somebody else's resource is 404, exactly like one that does not exist.
* `ETag` is the revision; send it back in `If-Match` to change only what you have seen.
* Send an `Idempotency-Key` with a POST to repeat it safely: it happens once.
"""

_HEADERS: dict[str, dict[str, Any]] = {
    "X-OpenStack-Request-ID": {
        "description": "Names this request in the logs; quote it when you ask for help.",
        "schema": {"type": "string", "pattern": "^req-[0-9a-f-]{36}$"},
    },
    "OpenStack-API-Version": {
        "description": "The version that answered.",
        "schema": {"type": "string", "examples": [versions.shown(versions.MAXIMUM)]},
    },
    "ETag": {"description": "The revision, in quotes.", "schema": {"type": "string", "examples": ['"42"']}},
    "Location": {
        "description": "The path of what was made or is under way.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Link": {"description": 'The next page: `<url>; rel="next"`.', "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "This is the kept answer to an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "Upgrade": {"description": "The protocol to use instead.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}},
    "Age": {
        "description": "Seconds that the answer may be behind; only with `Cache-Control: max-stale`, and only "
        "while the store is out of reach.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Allow": {"description": "The methods that are possible here.", "schema": {"type": "string"}},
}

_PARAMETERS: dict[str, dict[str, Any]] = {
    "OpenStack-API-Version": {
        "description": f"`apisvc <major>.<minor>` or `apisvc latest`; without it {versions.VERSIONS[0]}.",
        "schema": {"type": "string"},
    },
    "Idempotency-Key": {
        "description": "1 to 255 visible ASCII characters, new for each thing you want to happen. With the same "
        "key and the same request, the same answer; it is kept for 24 hours unless configured otherwise.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    },
    "If-Match": {
        "description": "The ETag of the version that you have seen; 412 when it is no longer that.",
        "schema": {"type": "string", "pattern": etag.IF_MATCH, "examples": ['"42"']},
    },
    "Cache-Control": {
        "description": "`max-stale=<seconds>`: while the store is out of reach, rather an answer that old than "
        "503. Without it every answer is current.",
        "schema": {"type": "string", "examples": ["max-stale=60"]},
    },
    "If-None-Match": {
        "description": "The ETag that you have; 304 when it is still that.",
        "schema": {"type": "string", "pattern": etag.IF_NONE_MATCH, "examples": ['"42"']},
    },
}


def document(operations: Sequence[operation.Operation], release: str) -> dict[str, Any]:
    """The document. ``release`` is the version of the software."""
    schemas = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for op in operations:
        paths.setdefault(op.path, {})[op.method.lower()] = _operation(op, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "apisvc",
            "version": release,
            "summary": f"API versions {versions.VERSIONS[0]} to {versions.VERSIONS[-1]}",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in sorted({op.tag for op in operations})],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": schemas.problems,
            "headers": _HEADERS,
            "parameters": {
                name: {"name": name, "in": "header", **rest} for name, rest in _PARAMETERS.items()
            },
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
        "security": [{"token": []}, {"bearer": []}],
    }


class _Schemas:
    """The JSON Schemas of all types in the table."""

    def __init__(self, operations: Iterable[operation.Operation]) -> None:
        types = {
            kind
            for op in operations
            for kind in (op.body, op.query, op.answer, *op.other_answers.values())
            if kind is not None
        }
        self._types = [problems.Problem, *sorted(types, key=lambda kind: (kind.__module__, kind.__name__))]
        found, self.components = msgspec.json.schema_components(self._types, ref_template=_TEMPLATE)
        self._refs = dict(zip(self._types, found, strict=True))
        #: Problem responses by name; most operations share them.
        self.problems: dict[str, dict[str, Any]] = {}
        self._queries = {op.query: self._take(op.query) for op in operations if op.query is not None}

    def ref(self, kind: type) -> dict[str, Any]:
        return self._refs[kind]

    def query(self, kind: type) -> dict[str, Any]:
        """The schema of a query Struct; its properties are shown as parameters."""
        return self._queries[kind]

    def problem(self, status: int, kinds: list[type[errors.ApisvcError]]) -> dict[str, str]:
        """A reference to the response with ``status`` and the codes of ``kinds``."""
        name = "_".join([str(status), *(kind.code.removeprefix("apisvc.") for kind in kinds)])
        self.problems.setdefault(name, _problem(status, kinds, self.ref(problems.Problem)))
        return {"$ref": f"#/components/responses/{name}"}

    def _take(self, kind: type) -> dict[str, Any]:
        name = self._refs[kind]["$ref"].removeprefix(_REF)
        return dict(self.components[name])


def _operation(op: operation.Operation, schemas: _Schemas) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": op.id,
        "summary": op.summary,
        "tags": [op.tag],
        "parameters": [*_path_parameters(op), *_query_parameters(op, schemas), *_header_parameters(op)],
        "responses": _responses(op, schemas),
        "x-apisvc-since": op.since,
    }
    if op.description:
        found["description"] = op.description
    if op.body is not None:
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas.ref(op.body)}},
        }
    if op.policy is None:
        found["security"] = []
    else:
        found["x-apisvc-policy"] = op.policy
    return found


def _path_parameters(op: operation.Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": f"Id or name of the {name}.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 253},
        }
        for name in re.findall(r"{(\w+)}", op.path)
    ]


def _query_parameters(op: operation.Operation, schemas: _Schemas) -> list[dict[str, Any]]:
    if op.query is None:
        return []
    described = schemas.query(op.query)
    parameters = []
    for name, schema in described["properties"].items():
        schema = _without_null(schema)
        parameter = {"name": name, "in": "query", "schema": schema}
        described_by = schema if "description" in schema else schema.get("items", {})
        if "description" in described_by:
            parameter["description"] = described_by["description"]
        if name in described.get("required", ()):
            parameter["required"] = True
        parameters.append(parameter)
    return parameters


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out; it cannot be null."""
    made = {key: value for key, value in schema.items() if key != "default" or value is not None}
    others = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(others) == 1:
        made.pop("anyOf")
        made = {**others[0], **made}
    return made


def _header_parameters(op: operation.Operation) -> list[dict[str, str]]:
    names = ["OpenStack-API-Version"]
    if op.render is not None and op.method == "POST":
        names.append("Idempotency-Key")
    if op.conditional:
        names.append("If-Match")
    if _has_etag(op) and op.method == "GET":
        names.append("If-None-Match")
    if _may_be_stale(op):
        names.append("Cache-Control")
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _responses(op: operation.Operation, schemas: _Schemas) -> dict[str, Any]:
    content: dict[str, Any] = {media_type: {"schema": {"type": "string"}} for media_type in op.streams}
    if op.answer is not None:
        content["application/json"] = {"schema": schemas.ref(op.answer)}
    if op.produces is not None:
        content[op.produces.partition(";")[0]] = {"schema": {"type": "string"}}
    headers = ["X-OpenStack-Request-ID", "OpenStack-API-Version"]
    if _is_list(op):
        headers.append("Link")
    elif _has_etag(op):
        headers.append("ETag")
    if _may_be_stale(op):
        headers.append("Age")
    if op.status == 202 or (op.method == "POST" and op.status == 201):
        headers.append("Location")
    if op.method == "POST" and op.render is not None:
        headers.append("Idempotency-Replayed")
    success: dict[str, Any] = {"description": op.summary + ".", "headers": _header_refs(headers)}
    if content:
        success["content"] = content
    responses: dict[str, Any] = {str(op.status): success}
    for status, kind in op.other_answers.items():
        other = {**success, "content": {"application/json": {"schema": schemas.ref(kind)}}}
        responses[str(status)] = (
            other if kind is op.answer else {**other, "headers": _header_refs(headers[:2])}
        )
    if _has_etag(op) and op.method == "GET":
        responses["304"] = {
            "description": "It is still what If-None-Match names.",
            "headers": _header_refs(headers),
        }
    by_status: dict[int, list[type[errors.ApisvcError]]] = {}
    for error in possible(op):
        by_status.setdefault(error.status, []).append(error)
    for status, kinds in sorted(by_status.items()):
        responses[str(status)] = schemas.problem(status, kinds)
    return responses


def _is_list(op: operation.Operation) -> bool:
    return op.query is not None and issubclass(op.query, base.ListQuery)


def _has_etag(op: operation.Operation) -> bool:
    if op.answer is None or op.untagged:
        return False
    return any(field.name == "revision" for field in msgspec.structs.fields(op.answer))


def _may_be_stale(op: operation.Operation) -> bool:
    return op.policy is not None and op.answer is not None and op.method == "GET"


def _problem(status: int, kinds: list[type[errors.ApisvcError]], schema: dict[str, Any]) -> dict[str, Any]:
    headers = ["X-OpenStack-Request-ID", "OpenStack-API-Version"]
    headers += ["WWW-Authenticate"] if status == 401 else []
    headers += ["Retry-After"] if status in (429, 503) else []
    headers += ["Upgrade"] if status == 426 else []
    return {
        "description": "; ".join(f"{kind.title} (`{kind.code}`)" for kind in kinds) + ".",
        "headers": _header_refs(headers),
        "content": {problems.MEDIA_TYPE: {"schema": schema}},
        "x-apisvc-codes": [kind.code for kind in kinds],
    }


def _header_refs(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def possible(op: operation.Operation) -> list[type[errors.ApisvcError]]:
    """The errors that ``op`` can answer: its own, and those that every request of its kind can meet."""
    kinds: set[type[errors.ApisvcError]] = {
        errors.ApisvcError,
        errors.InvalidRequest,
        errors.NotAcceptable,
        *op.errors,
    }
    if op.policy is not None:
        kinds |= {errors.Unauthenticated, errors.Forbidden, errors.TooManyRequests}
        kinds |= {errors.StoreUnavailable, errors.AuthUnavailable}
    if "{" in op.path or op.since != versions.VERSIONS[0]:
        kinds.add(errors.NotFound)
    if op.method != "GET":
        kinds.add(errors.BodyTooLarge)
        kinds.add(errors.Contention)
    if op.body is not None:
        kinds.add(errors.UnsupportedMediaType)
    if op.conditional or op.method == "GET":
        kinds.add(errors.PreconditionFailed)
    if op.method == "POST" and op.render is not None:
        kinds.add(errors.IdempotencyMismatch)
    if op.websocket:
        kinds.add(errors.UpgradeRequired)
    return sorted(kinds, key=lambda kind: (kind.status, kind.code))
