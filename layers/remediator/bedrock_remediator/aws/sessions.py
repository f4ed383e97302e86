"""botocore's session, with no more of AWS in it than this service calls.

Most of a cold start used to be botocore reading about what is never called: descriptions of every operation of IAM
and DynamoDB, the endpoints of every service, handlers for the peculiarities of S3 or EC2. The layer has descriptions
with the few operations that are called (`service_models.py` beside its Makefile makes them when it is built); what is
not there is read from botocore's own. boto3 would add nothing to a client but its import. What each of these is worth
stands in docs/performance.md.
"""

from pathlib import Path
from typing import Any, Final

from botocore import handlers
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader
from botocore.session import Session

MODELS: Final = Path(__file__).parent / "models"
"""Where the layer has the descriptions. In a checkout there is no such folder, and botocore's own are read."""

SERVICES: Final = frozenset(
    {
        "bedrock",
        "dynamodb",
        "iam",
        "iam-toolbox",
        "kms",
        "organizations",
        "secrets-manager",
        "sns",
        "sqs",
        "ssm",
        "sts",
    },
)
"""The services that are called, as botocore's events name them."""


def new_session(models: Path | None = None) -> Session:
    """A session in the environment of the function. `models` is where descriptions are looked for first."""
    session = Session(include_builtin_handlers=False)
    session.register_component("data_loader", ModelLoader(models or MODELS))
    events = session.get_component("event_emitter")
    register = {handlers.REGISTER_FIRST: events.register_first, handlers.REGISTER_LAST: events.register_last}
    for event, handler, *place in handlers.BUILTIN_HANDLERS:
        if concerns_us(event):
            register.get(place[0] if place else None, events.register)(event, handler)
    return session


def concerns_us(event: str) -> bool:
    """Whether an event of botocore (`before-call.s3.PutObject`, say) can happen to a client of ours."""
    kind, _, rest = event.partition(".")
    return kind != "docs" and rest.partition(".")[0] in {"", "*", *SERVICES}


class ModelLoader(Loader):
    """Reads a description from one folder where it is there, and else from where botocore does."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._own = Loader(extra_search_paths=[str(folder)], include_default_search_paths=False)

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """The description of a service; one that the folder lacks is botocore's."""
        try:
            return self._own.load_service_model(service_name, type_name, api_version)
        except (DataNotFoundError, UnknownServiceError):
            return super().load_service_model(service_name, type_name, api_version)

    def load_data_with_path(self, name: str) -> Any:
        """A file's content and its path."""
        try:
            return self._own.load_data_with_path(name)
        except DataNotFoundError:
            return super().load_data_with_path(name)

    def is_builtin_path(self, path: str) -> bool:  # noqa: ARG002 - the base class's
        """Yes: what the folder holds is botocore's own, so the rules for endpoints go with it."""
        return True
