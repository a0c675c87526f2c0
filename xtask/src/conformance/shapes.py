"""Compares a raw answer with the shape that botocore's model has for it: every name, every type, nothing unknown.

Each function gives complaints, one line each; an answer that fits gives none. The body is parsed here, not by
botocore's own parsers, which pass over what they do not know.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import cbor2
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
WHOLE = re.compile(r"-?\d+")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
# Headers that answers have without a word about them in the models.
UNMODELED_HEADERS = {"x-amz-request-id", "x-amz-id-2"}
# Where AWS itself does not keep to its model, as the examples in its own documentation show.
UNLIKE_THE_MODEL = {
    ("PlatformValues", "windows"),  # EC2 writes it in lower case
    ("StringDateTime", None),  # its pattern fits neither `PT0.262S` nor `2019-09-06T19:10:36.680Z`
}
# Errors that every service of a kind can give and no model lists.
COMMON_ERRORS = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "InternalFailure",
    "MissingAuthenticationTokenException",
    "SerializationException",
    "ServiceUnavailableException",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
}
COMMON_QUERY_ERRORS = {
    "AccessDenied",
    "ExpiredToken",
    "InternalFailure",
    "InvalidAction",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "ServiceUnavailable",
    "Throttling",
    "ValidationError",
}


@dataclass(frozen=True)
class Answer:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


def complaints(model: OperationModel, protocol: str, answer: Answer) -> list[str]:
    """What is wrong with a successful answer."""
    try:
        return list(_of_answer(model, protocol, answer))
    except (ValueError, ElementTree.ParseError) as error:
        return [f"the body can't be read: {error}"]


def _of_answer(model: OperationModel, protocol: str, answer: Answer) -> Iterator[str]:
    shape = model.output_shape
    if not 200 <= answer.status < 300:
        yield f"status {answer.status}"
    if protocol == "json":
        version = model.service_model.metadata.get("jsonVersion", "1.0")
        yield from _content_type(answer, f"application/x-amz-json-{version}")
        yield from _value(shape, json.loads(answer.body), "") if shape else _empty(answer, b"{}")
    elif protocol == "rest-json":
        yield from _content_type(answer, "application/json")
        yield from _value(shape, json.loads(answer.body), "")
    elif protocol == "smithy-rpc-v2-cbor":
        yield from _cbor_answer(shape, answer)
    elif protocol == "query":
        yield from _query_answer(model, answer)
    elif protocol == "ec2":
        yield from _ec2_answer(model, answer)
    else:
        yield from _rest_xml_answer(model, answer)


def _content_type(answer: Answer, expected: str) -> Iterator[str]:
    found = answer.headers.get("content-type", "")
    if found.split(";")[0] != expected:
        yield f"content-type is {found!r}, not {expected!r}"


def _empty(answer: Answer, nothing: bytes = b"") -> Iterator[str]:
    if answer.body not in (b"", nothing):
        yield f"has a body, and its shape none: {answer.body[:100]!r}"


# ---------------------------------------------------------------------------------------------------------- JSON, CBOR


def _value(shape: Shape, value: Any, path: str, *, is_cbor: bool = False) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        yield from _structure(shape, value, path, is_cbor=is_cbor)
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            yield _misfit(path, shape, value)
            return
        for item in value:
            yield from _value(shape.member, item, f"{path}[]", is_cbor=is_cbor)
    elif isinstance(shape, MapShape):
        if not isinstance(value, dict):
            yield _misfit(path, shape, value)
            return
        for key, item in value.items():
            yield from _value(shape.key, key, f"{path}{{key}}", is_cbor=is_cbor)
            yield from _value(shape.value, item, f"{path}{{}}", is_cbor=is_cbor)
    else:
        yield from _scalar(shape, value, path, is_cbor=is_cbor)


def _structure(shape: StructureShape, value: Any, path: str, *, is_cbor: bool) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _misfit(path, shape, value)
        return
    members = {m.serialization.get("name", name): m for name, m in shape.members.items() if not m.serialization.get("location")}
    for name, item in value.items():
        if name not in members:
            yield f"{path}.{name}: not in the model ({shape.name})"
        else:
            yield from _value(members[name], item, f"{path}.{name}", is_cbor=is_cbor)
    yield from _missing(shape, value, path)


def _missing(shape: StructureShape, names: Any, path: str) -> Iterator[str]:
    for name in shape.required_members:
        if shape.members[name].serialization.get("name", name) not in names:
            yield f"{path}.{name}: required, and missing"


def _misfit(path: str, shape: Shape, value: Any) -> str:
    return f"{path}: {json.dumps(value, default=str)[:80]} is no {shape.type_name} ({shape.name})"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scalar(shape: Shape, value: Any, path: str, *, is_cbor: bool) -> Iterator[str]:
    kind = shape.type_name
    if kind in ("string", "character"):
        fits = isinstance(value, str)
    elif kind in ("integer", "long"):
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif kind in ("float", "double"):
        fits = _is_number(value)
    elif kind == "boolean":
        fits = isinstance(value, bool)
    elif kind == "timestamp":
        fits = isinstance(value, datetime.datetime) if is_cbor else _is_number(value)
    else:
        fits = isinstance(value, bytes) if is_cbor else _is_base64(value)
    if fits:
        yield from _constraints(shape, value, path)
    else:
        yield _misfit(path, shape, value)


def _is_base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(base64.b64decode(value, validate=True)) | (value == "")
    except binascii.Error:
        return False


def _constraints(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, str) or not UNLIKE_THE_MODEL.isdisjoint({(shape.name, value), (shape.name, None)}):
        return
    # An empty string is how many members say that there is nothing.
    values = getattr(shape, "enum", [])
    if values and value and value not in values:
        yield f"{path}: {value!r} is none of {shape.name}'s values"
    longest = shape.metadata.get("max")
    if longest is not None and shape.type_name == "string" and len(value) > longest:
        yield f"{path}: {len(value)} characters, at most {longest} ({shape.name})"
    pattern = shape.metadata.get("pattern")
    if pattern and value and not _fits(pattern, value):
        yield f"{path}: {value!r} does not fit {pattern!r} ({shape.name})"


def _fits(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True  # of another dialect


def _cbor_answer(shape: StructureShape | None, answer: Answer) -> Iterator[str]:
    if answer.headers.get("smithy-protocol") != "rpc-v2-cbor":
        yield "no header smithy-protocol: rpc-v2-cbor"
    if shape is None:
        yield from _empty(answer)
        return
    yield from _content_type(answer, "application/cbor")
    yield from _value(shape, cbor2.loads(answer.body), "", is_cbor=True)


# ----------------------------------------------------------------------------------------------------------------- XML


def _split(tag: str) -> tuple[str, str]:
    namespace, _, name = tag.rpartition("}")
    return namespace.lstrip("{"), name


def _root(answer: Answer, model: OperationModel, name: str | None) -> tuple[ElementTree.Element, list[str]]:
    root = ElementTree.fromstring(answer.body)
    namespace, found = _split(root.tag)
    wrong = []
    if name and found != name:
        wrong.append(f"the root is {found}, not {name}")
    expected = model.service_model.metadata.get("xmlNamespace")
    if expected and namespace.rstrip("/") != expected.rstrip("/"):
        wrong.append(f"the namespace is {namespace!r}, not {expected!r}")
    return root, wrong


def _query_answer(model: OperationModel, answer: Answer) -> Iterator[str]:
    root, wrong = _root(answer, model, f"{model.name}Response")
    yield from wrong
    yield from _content_type(answer, "text/xml")
    shape = model.output_shape
    wrapper = shape.serialization.get("resultWrapper") if shape else None
    results = [child for child in root if _split(child.tag)[1] == wrapper]
    request_id = root.find("{*}ResponseMetadata/{*}RequestId")
    if request_id is None or not request_id.text:
        yield "no ResponseMetadata with a RequestId"
    for child in root:
        if _split(child.tag)[1] not in (wrapper, "ResponseMetadata"):
            yield f".{_split(child.tag)[1]}: not in the model"
    if shape and len(results) != 1:
        yield f"{len(results)} elements {wrapper}"
    for result in results:
        yield from _element(shape, result, "")


def _ec2_answer(model: OperationModel, answer: Answer) -> Iterator[str]:
    root, wrong = _root(answer, model, f"{model.name}Response")
    yield from wrong
    yield from _content_type(answer, "text/xml")
    request_id = root.find("{*}requestId")
    if request_id is None or not request_id.text:
        yield "no requestId"
    rest = ElementTree.Element(root.tag)
    rest.extend(child for child in root if _split(child.tag)[1] != "requestId")
    if model.output_shape:
        yield from _element(model.output_shape, rest, "")
    elif [(_split(child.tag)[1], child.text, len(child)) for child in rest] != [("return", "true", 0)]:
        yield "an action without a result answers <return>true</return>"


def _rest_xml_answer(model: OperationModel, answer: Answer) -> Iterator[str]:
    shape = model.output_shape
    if shape is None:
        yield from _empty(answer)
        return
    yield from _headers(shape, answer)
    payload = shape.serialization.get("payload")
    inside = {name: m for name, m in shape.members.items() if not m.serialization.get("location")}
    if payload and shape.members[payload].type_name == "blob":
        return
    if model.http["method"] == "HEAD" or not inside:
        yield from _empty(answer)
        return
    root, wrong = _root(answer, model, None)
    yield from wrong
    yield from _content_type(answer, "application/xml")
    name, only = next(iter(inside.items()))
    if len(inside) == 1 and _split(root.tag)[1] == name and only.type_name == "string":
        yield from _text(only, root, f".{name}")
    else:
        yield from _element(shape, root, "")


def _headers(shape: StructureShape, answer: Answer) -> Iterator[str]:
    known = {m.serialization["name"].lower(): m for m in shape.members.values() if m.serialization.get("location") == "header"}
    for name, value in answer.headers.items():
        if name in known:
            yield from _header(known[name], name, value)
        elif name.startswith("x-amz-") and name not in UNMODELED_HEADERS and not name.startswith("x-amz-meta-"):
            yield f"header {name}: not in the model"
    for name in UNMODELED_HEADERS - answer.headers.keys():
        yield f"no header {name}"


def _header(member: Shape, name: str, value: str) -> Iterator[str]:
    if member.type_name == "timestamp":
        try:
            parsedate_to_datetime(value)
        except ValueError:
            yield f"header {name}: {value!r} is no date"
    elif member.type_name in ("integer", "long") and not WHOLE.fullmatch(value):
        yield f"header {name}: {value!r} is no number"
    elif name == "etag" and not re.fullmatch(r'"[0-9a-f]{32}"', value):
        yield f"header {name}: {value!r} is no quoted digest"


def _element(shape: Shape, element: ElementTree.Element, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        yield from _members(shape, element, path)
    elif isinstance(shape, ListShape):
        name = shape.member.serialization.get("name", "member")
        if element.text and element.text.strip():
            yield f"{path}: text in a list: {element.text!r}"
        for child in element:
            if _split(child.tag)[1] != name:
                yield f"{path}.{_split(child.tag)[1]}: an item is called {name}"
            else:
                yield from _element(shape.member, child, f"{path}[]")
    else:
        yield from _text(shape, element, path)


def _members(shape: StructureShape, element: ElementTree.Element, path: str) -> Iterator[str]:
    members = {}
    for name, member in shape.members.items():
        is_flat = isinstance(member, ListShape) and member.serialization.get("flattened")
        own = member.member.serialization.get("name") if is_flat else None
        members[own or member.serialization.get("name", name)] = member
    if element.text and element.text.strip():
        yield f"{path}: text in a structure: {element.text!r}"
    seen = set()
    for child in element:
        name = _split(child.tag)[1]
        member = members.get(name)
        if member is None:
            yield f"{path}.{name}: not in the model ({shape.name})"
        elif isinstance(member, ListShape) and member.serialization.get("flattened"):
            yield from _element(member.member, child, f"{path}.{name}[]")
        else:
            if name in seen:
                yield f"{path}.{name}: twice"
            yield from _element(member, child, f"{path}.{name}")
        seen.add(name)
    yield from _missing(shape, seen, path)


def _text(shape: Shape, element: ElementTree.Element, path: str) -> Iterator[str]:
    text, kind = element.text or "", shape.type_name
    patterns = {"integer": WHOLE, "long": WHOLE, "float": NUMBER, "double": NUMBER, "timestamp": ISO_8601}
    if len(element):
        yield f"{path}: elements in a {kind} ({shape.name})"
    elif kind == "boolean" and text not in ("true", "false"):
        yield f"{path}: {text!r} is no boolean ({shape.name})"
    elif kind in patterns and not patterns[kind].fullmatch(text):
        yield f"{path}: {text!r} is no {kind} ({shape.name})"
    else:
        yield from _constraints(shape, text, path)


# -------------------------------------------------------------------------------------------------------------- errors


def error_complaints(model: OperationModel, protocol: str, answer: Answer, code: str) -> list[str]:
    """What is wrong with an error: its place in the model, its status, the members of its body."""
    try:
        return list(_of_error(model, protocol, answer, code))
    except (ValueError, ElementTree.ParseError) as error:
        return [f"the error can't be read: {error}"]


def _of_error(model: OperationModel, protocol: str, answer: Answer, code: str) -> Iterator[str]:
    shapes = {shape.error_code: shape for shape in model.error_shapes}
    if protocol in ("json", "rest-json", "smithy-rpc-v2-cbor"):
        is_cbor = protocol == "smithy-rpc-v2-cbor"
        body = cbor2.loads(answer.body) if is_cbor else json.loads(answer.body)
        named = body.get("__type", "") if protocol != "rest-json" else answer.headers.get("x-amzn-errortype", "")
        name = named.rpartition("#")[2].partition(":")[0]
        by_name = {shape.name: shape for shape in model.error_shapes}
        shape = by_name.get(name)
        # A service's own names for failures of its own are not repeated for every operation.
        is_own = answer.status >= 500 and name in model.service_model.shape_names
        if shape is None and name not in COMMON_ERRORS and not is_own:
            yield f"{name} is no error of {model.name} in the model"
        rest = {key: value for key, value in body.items() if key != "__type"}
        if shape is not None and shape.members:
            yield from _value(shape, rest, "", is_cbor=is_cbor)
        elif not is_own and not rest.keys() <= ({"Message"} if protocol == "rest-json" else {"message"}):
            yield f"unknown members of an error: {sorted(rest)}"
        if protocol != "json":
            yield from _error_status(shape, answer)
        return
    element, shape = ElementTree.fromstring(answer.body), shapes.get(code)
    if protocol == "query":
        if _split(element.tag)[1] != "ErrorResponse" or element.find("{*}RequestId") is None:
            yield "an error is an ErrorResponse with a RequestId"
        if element.find("{*}Error/{*}Type") is None:
            yield "an error has a Type"
        if shape is None and code not in COMMON_QUERY_ERRORS:
            yield f"{code} is no error of {model.name} in the model"
        yield from _error_status(shape, answer)
    elif protocol == "ec2":
        if element.find("Errors/Error/Code") is None or element.find("RequestID") is None:
            yield "an error is a Response with Errors and a RequestID"
    else:
        if _split(element.tag)[1] != "Error" or element.find("RequestId") is None:
            yield "an error is an Error with a RequestId"
        yield from _error_status(shape, answer)


def _error_status(shape: StructureShape | None, answer: Answer) -> Iterator[str]:
    modeled = (shape.metadata.get("error") or {}).get("httpStatusCode") if shape else None
    if modeled and modeled != answer.status:
        yield f"status {answer.status}, in the model {modeled}"
