"""What tickets refer to: units, categories, commands; and who asks."""

from fastapi import APIRouter, Request

from console.api import auth, schemas, views
from console.context import context_of
from tickets.lifecycle import Command
from tickets.service import SiteData
from tickets.taxonomy import category_code
from tickets.unit_repository import all_units

router = APIRouter(tags=["catalogue"])


@router.get("/units", summary="承办单位")
def list_units(request: Request, _client: auth.Reader) -> list[schemas.UnitOut]:
    """All units, by code."""
    with context_of(request).database.reading() as session:
        return [views.unit(unit) for unit in all_units(session)]


@router.get("/categories", summary="诉求类别")
def list_categories(request: Request, _client: auth.Reader) -> list[schemas.CategoryOut]:
    """The second level of the site's tree, in its order."""
    site: SiteData = request.app.state.site
    return [
        schemas.CategoryOut(
            code=category_code(item.name), name=item.name, matter=item.matter, tier=item.tier, type=item.type
        )
        for item in site.taxonomy.categories.values()
    ]


@router.get("/commands", summary="可以对工单做什么")
def list_commands(_client: auth.Reader) -> list[schemas.CommandOut]:
    """Each command with its arguments and who may give it."""
    return [views.command(command) for command in Command]


@router.get("/key", summary="此密钥的权限")
def read_key(client: auth.AnyClient) -> schemas.KeyOut:
    """Who asks and what it may."""
    return schemas.KeyOut(name=client.name, role=client.role, unit=client.unit, scopes=sorted(client.scopes))
