"""The descriptions of AWS's services that the layer is built with: all that the functions call, and nothing lost."""

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import botocore
import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.session import Session

from bedrock_remediator.aws.clients import SERVICES, concerns_us, new_session

ROOT: Final = Path(__file__).parents[2]
LAYER: Final = ROOT / "layers" / "remediator"
REGIONS: Final = ("us-east-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1")
KINDS: Final = (
    "before-call",
    "before-parameter-build",
    "before-parse",
    "choose-signer",
    "creating-client-class",
    "getattr",
    "needs-retry",
    "provide-client-params",
    "request-created",
)


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("service_models", LAYER / "service_models.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT: Final = _script()
OPERATIONS: Final[Mapping[str, tuple[str, ...]]] = SCRIPT.OPERATIONS


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The descriptions, cut down from this environment's botocore as the layer's Makefile does it."""
    folder = tmp_path_factory.mktemp("models")
    SCRIPT.main(Path(botocore.__file__).parent / "data", folder)
    return folder


@pytest.fixture(scope="module")
def whole() -> Session:
    """Botocore as it comes."""
    return Session()


def _methods(service: str) -> dict[str, str]:
    """A client's methods for all operations of a service: its name for each, and AWS's."""
    return {xform_name(name): name for name in Loader().load_service_model(service, "service-2")["operations"]}


def _named_in_the_adapters() -> Iterator[str]:
    """Every attribute that is asked of anything in `aws/`, but of `super()`: KMS has a Verify, too.

    IAM's reads are composed for roles, users and groups.
    """
    for path in (LAYER / "bedrock_remediator" / "aws").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) != "super()":
                yield node.attr
            elif isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
                yield from ("".join(map(str, parts)).replace("{}", kind) for kind in ("role", "user", "group"))


def test_every_operation_that_an_adapter_names_is_there() -> None:
    """A client that is made of the descriptions has a method for it."""
    named = set(_named_in_the_adapters())
    kept = {xform_name(operation) for operations in OPERATIONS.values() for operation in operations}
    known = {method for service in OPERATIONS for method in _methods(service)}
    assert named & known <= kept
    assert kept <= named


def test_a_client_made_of_them_calls_as_the_whole_one_does(models: Path, whole: Session) -> None:
    """The same endpoint in every partition, the same signature, the same shapes."""
    cut = new_session(models)
    for service, operations in OPERATIONS.items():
        for region in REGIONS if service in ("iam", "sts", "dynamodb") else REGIONS[:1]:
            keys: dict[str, Any] = {"aws_access_key_id": "AKIA", "aws_secret_access_key": "secret"}
            one, other = (each.create_client(service, region_name=region, **keys) for each in (cut, whole))
            assert one.meta.endpoint_url == other.meta.endpoint_url
            assert one.meta.service_model.metadata == other.meta.service_model.metadata
            for operation in operations if region == REGIONS[0] else ():
                mine, theirs = (each.meta.service_model.operation_model(operation) for each in (one, other))
                assert mine.http == theirs.http
                assert mine.auth_type == theirs.auth_type
                assert [shape.name for shape in mine.error_shapes] == [shape.name for shape in theirs.error_shapes]
                assert _members(mine.input_shape) == _members(theirs.input_shape)
                assert _members(mine.output_shape) == _members(theirs.output_shape)


def _members(shape: Any, depth: int = 6) -> Any:
    """A shape's members, their types and how each is written; down to a depth, as a policy's value holds itself."""
    if shape is None or not depth:
        return None
    inner = getattr(shape, "members", {}) or {
        name: getattr(shape, name) for name in ("member", "key", "value") if hasattr(shape, name)
    }
    return shape.type_name, shape.serialization, {name: _members(each, depth - 1) for name, each in inner.items()}


def test_what_is_not_there_is_botocores_own(models: Path) -> None:
    """A service that nobody thought of is slower to begin with, and works."""
    client = new_session(models).create_client("logs", region_name="us-east-1")
    assert client.meta.endpoint_url == "https://logs.us-east-1.amazonaws.com"


def test_the_handlers_left_out_are_other_services(whole: Session) -> None:
    """For every event of a client of ours the same handlers of botocore's are called, in the same order."""

    def named(session: Session, event: str) -> list[str]:
        found = session.get_component("event_emitter")._emitter._handlers.prefix_search(event)
        # Once it is imported, Powertools adds one of its own to every session.
        return [handler.__qualname__ for handler in found if handler.__module__.startswith("botocore.")]

    reduced = new_session()
    for service, operations in OPERATIONS.items():
        name = whole.create_client(service, region_name="us-east-1").meta.service_model.service_id.hyphenize()
        assert name in SERVICES
        for operation in operations:
            for kind in KINDS:
                event = f"{kind}.{name}.{operation}"
                assert named(reduced, event) == named(whole, event), event
    assert not concerns_us("before-parameter-build.s3.CopyObject")
