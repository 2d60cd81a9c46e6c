"""AWS's API models as botocore ships them, each read once a process."""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.loaders
import botocore.session
from botocore.model import ServiceModel


@cache
def loader() -> Any:
    """botocore's loader, which remembers what it has read; sessions of their own would read all again."""
    return botocore.loaders.create_loader()


def session() -> Any:
    """A new botocore session on the shared loader."""
    fresh = botocore.session.Session()
    fresh.register_component("data_loader", loader())
    return fresh


@cache
def service_names() -> frozenset[str]:
    """Every service that botocore knows."""
    return frozenset(loader().list_available_services("service-2"))


@cache
def service_model(name: str) -> ServiceModel:
    """A service's model. Raises botocore.exceptions.UnknownServiceError for a name that there is not."""
    return session().get_service_model(name)
