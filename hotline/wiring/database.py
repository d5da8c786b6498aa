"""Opens the site's database for a process that expects it to be up to date."""

from hotline.db import Database
from hotline.errors import ConfigurationError
from hotline.settings import Settings


def open_database(settings: Settings) -> Database:
    """The site's database; raises `ConfigurationError` where its schema is older than this version."""
    database = Database(settings.effective_database_url())
    database.ping()
    if database.pending_revision() is not None:
        raise ConfigurationError("the database schema is not up to date", hint="run `hotline migrate`")
    return database
