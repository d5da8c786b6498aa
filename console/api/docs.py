"""The interface described for people: one page made from the OpenAPI document, without scripts from elsewhere."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.api.problems import KINDS
from console.api.scopes import SCOPE_LABELS
from console.rendering import render

router = APIRouter(include_in_schema=False)
_METHODS = ("get", "post", "put", "patch", "delete")


@router.get("/docs")
def show_docs(request: Request) -> HTMLResponse:
    """All operations; whoever reads them needs no key."""
    document = request.app.openapi()
    values = {
        "document": document,
        "operations": operations(document),
        "problems": [(status, *kind) for status, kind in KINDS.items()],
        "scopes": [(scope.value, name) for scope, name in SCOPE_LABELS.items()],
    }
    return render(request, "api_docs.html", values)


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What the page shows of each operation, in the document's order."""
    base = document["servers"][0]["url"]
    return [
        {
            "method": method.upper(),
            "path": base + path,
            "id": operation["operationId"],
            "summary": operation.get("summary", ""),
            "description": operation.get("description", ""),
            "scopes": [scope for item in operation.get("security", []) for scopes in item.values() for scope in scopes],
            "parameters": [_parameter(item) for item in operation.get("parameters", [])],
            "body": _example(document, operation),
            "answers": [(status, item["description"]) for status, item in operation["responses"].items()],
        }
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in _METHODS
    ]


def _parameter(item: dict[str, Any]) -> dict[str, Any]:
    schema = item.get("schema", {})
    return {
        "name": item["name"],
        "where": item["in"],
        "required": item.get("required", False),
        "description": item.get("description", schema.get("description", "")),
    }


def _example(document: dict[str, Any], operation: dict[str, Any]) -> str:
    """An example of the body, as text; empty without one."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    examples = document["components"]["schemas"].get(name, {}).get("examples", [])
    return json.dumps(examples[0], ensure_ascii=False, indent=2) if examples else ""
