"""The interface as an ASGI application of its own, mounted at /api/v1: its errors, its schema, its documentation."""

from typing import Any

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware

from console.api import catalogue, changes, docs, problems, tickets
from console.api.body_limit import FRAMEWORKS_LIMIT, BodyLimit
from console.api.problems import Problem, documented
from hotline import __version__
from hotline.settings import Settings

PATH = "/api/v1"
SHARED = ("context", "templates", "site", "working", "desk", "demo_model", "key_rates", "key_failures", "started_at")
DESCRIPTION = """供其他系统读取和办理工单的接口。

- 每个请求在 `Authorization` 头中给出密钥：`Bearer hl_…`。密钥的权限、角色和单位决定能用什么、看到哪些工单。
- 个人号码一律隐去；要看完整内容，须有 `personal` 权限并给出原因，每次读取记入审计日志。
- 出错时返回 `application/problem+json`（RFC 9457），逐项指出有误的字段。
- 改变工单须以 `If-Match` 给出所依据的版本（工单的 `ETag`），并以 `Idempotency-Key` 防止重复。
"""


def create_api(settings: Settings) -> FastAPI:
    """The application; whoever mounts it shares its state with it (`share`)."""
    app = FastAPI(
        title=f"{settings.site_name} 接口",
        description=DESCRIPTION,
        version=__version__,
        servers=[{"url": PATH}],
        root_path_in_servers=False,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        dependencies=[Depends(problems.refuse_unknown)],
        responses=documented(401, 403, 422, 429, 500, 503),
        max_body_size=FRAMEWORKS_LIMIT,
        middleware=[Middleware(BodyLimit, max_bytes=settings.api.max_body_bytes, refuse=problems.refused)],
    )
    problems.install(app)
    for part in (tickets, changes, catalogue, docs):
        app.include_router(part.router)
    original = app.openapi

    def openapi() -> dict[str, Any]:
        schema = original()
        parts = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        components.update(parts.pop("$defs"))
        components["Problem"] = parts
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def share(app: FastAPI, parent: FastAPI) -> None:
    """Gives a mounted application what the endpoints of its parent work with."""
    shared = (
        "context",
        "templates",
        "site",
        "working",
        "desk",
        "demo_model",
        "key_rates",
        "key_failures",
        "started_at",
    )
    for name in shared:
        setattr(app.state, name, getattr(parent.state, name))
