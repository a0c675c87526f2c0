"""Breaks answers between the simulator and the judge, one field at a time: a judge that is content with one is none.

A small proxy passes everything on. While it is armed it renames a member of the answer, or puts a value of another type
into one. Which members those are is drawn from the operation's name, so that every run breaks the same.
"""

from __future__ import annotations

import copy
import datetime
import json
import threading
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cbor2
from botocore.model import ListShape, MapShape, Shape, StructureShape

from cases import CASES, Case
from judge_boto3 import protocols, put
from report import Report
from world import World

Reply = tuple[int, dict[str, str], bytes]
Change = Callable[[Reply], Reply]


class Proxy(ThreadingHTTPServer):
    """Passes requests on, and changes the answers while it has a change."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = upstream.removeprefix("http://")
        self.change: Change | None = None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def armed(self, change: Change) -> Iterator[None]:
        self.change = change
        try:
            yield
        finally:
            self.change = None


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        connection = HTTPConnection(self.server.upstream, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        answer = connection.getresponse()
        dropped = ("connection", "content-length", "transfer-encoding", "keep-alive")
        headers = {name.lower(): value for name, value in answer.getheaders() if name.lower() not in dropped}
        length = answer.getheader("content-length", "0")
        reply = (answer.status, headers, answer.read())
        connection.close()
        status, headers, body = self.server.change(reply) if self.server.change else reply
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        self.wfile.write(body if self.command != "HEAD" else b"")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


# ------------------------------------------------------------------------------------------------------- what is broken


def places(shape: Shape | None, value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Shape]]:
    """The members of structures in a value, by their paths."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        members = {m.serialization.get("name", name): m for name, m in shape.members.items()}
        for name in value.keys() & members.keys():
            yield (*path, name), members[name]
            yield from places(members[name], value[name], (*path, name))
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for number, item in enumerate(value[:1]):
            yield from places(shape.member, item, (*path, number))
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        for key, item in value.items():
            yield from places(shape.value, item, (*path, key))


def drawn(operation: str, kind: str, among: list[Any]) -> Any:
    return among[zlib.crc32(f"{operation} {kind}".encode()) % len(among)]


def renamed(name: str) -> str:
    """The same name in the other case: what a careless hand would write."""
    return name[0].swapcase() + name[1:]


def other_type(value: Any) -> Any:
    """A value of another type than this one's."""
    if isinstance(value, str | bytes | datetime.datetime):
        return 7 if isinstance(value, str) else "yesterday"
    if isinstance(value, bool | int | float):
        return {"x": "seven"}
    return "nothing of that kind"


def in_tree(shape: Shape | None, body: Any, kind: str, operation: str) -> tuple[Any, str]:
    """A changed copy of a document of JSON or CBOR, and what was changed."""
    body = copy.deepcopy(body)
    found = sorted(places(shape, body), key=lambda place: [str(part) for part in place[0]])
    if not found:
        return {**body, "unexpected": 1}, "an unknown member"
    path, _ = drawn(operation, kind, found)
    inner = body
    for part in path[:-1]:
        inner = inner[part]
    shown = ".".join("[]" if isinstance(part, int) else str(part) for part in path)
    if kind == "name":
        inner[renamed(path[-1])] = inner.pop(path[-1])
        return body, f"{shown} → {renamed(path[-1])}"
    inner[path[-1]] = other_type(inner[path[-1]])
    return body, f"{shown} → {json.dumps(inner[path[-1]])}"


def in_xml(body: bytes, kind: str, operation: str, spared: set[str]) -> tuple[bytes, str]:
    root = ElementTree.fromstring(body)
    namespace = root.tag.partition("}")[0].lstrip("{") if "}" in root.tag else ""
    if namespace:
        ElementTree.register_namespace("", namespace)
    local = lambda element: element.tag.rpartition("}")[2]
    every = [element for element in root.iter() if element is not root and local(element) not in spared]
    # Text of any kind is a string; what has elements in it is none.
    among = every if kind == "name" else [element for element in every if not len(element)] or every
    if not among:
        ElementTree.SubElement(root, "unexpected").text = "1"
        return ElementTree.tostring(root), "an unknown element"
    element = drawn(operation, kind, among)
    if kind == "name":
        before = local(element)
        element.tag = element.tag[: -len(before)] + renamed(before)
        return ElementTree.tostring(root), f"{before} → {renamed(before)}"
    ElementTree.SubElement(element, "seven").text = "7"
    return ElementTree.tostring(root), f"{local(element)} → an element in its text"


def in_headers(headers: dict[str, str], shape: StructureShape | None, kind: str, operation: str) -> tuple[dict[str, str], str]:
    known = (
        {m.serialization["name"].lower() for m in shape.members.values() if m.serialization.get("location") == "header"}
        if shape
        else set()
    )
    found = sorted(
        name for name in headers if name in known and (name.startswith("x-amz-") or name in ("etag", "last-modified", "location"))
    )
    telling = [name for name in found if name in ("etag", "last-modified")]
    if kind == "type" and telling:
        name = drawn(operation, kind, telling)
        return {**headers, name: "seven"}, f"{name} → seven"
    name = drawn(operation, kind, [n for n in found if n.startswith("x-amz-")] or ["x-amz-request-id"])
    rest = {n: value for n, value in headers.items() if n != name}
    return {**rest, f"x-amz-{name[6:].replace('-', '')}x": headers[name]}, f"{name} → another name"


def mutation(shape: StructureShape | None, protocol: str, kind: str, operation: str, said: list[str]) -> Change:
    """A change of this kind to the answers of an operation; what it was is said."""

    def change(reply: Reply) -> Reply:
        status, headers, body = reply
        if protocol in ("json", "rest-json"):
            broken, what = in_tree(shape, json.loads(body or b"{}"), kind, operation)
            body = json.dumps(broken).encode()
        elif protocol == "smithy-rpc-v2-cbor":
            broken, what = in_tree(shape, cbor2.loads(body) if body else {}, kind, operation)
            body = cbor2.dumps(broken, datetime_as_timestamp=True)
        elif protocol in ("query", "ec2"):
            body, what = in_xml(body, kind, operation, {"ResponseMetadata", "requestId", "RequestId"})
        elif body.startswith(b"<?xml") and operation != "s3.GetBucketLocation":
            body, what = in_xml(body, kind, operation, set())
        else:
            headers, what = in_headers(headers, shape, kind, operation)
        said.append(what)
        return status, headers, body

    return change


# ---------------------------------------------------------------------------------------------------------------- judged


def run(world: World, report: Report) -> None:
    """For each operation and protocol: the judge has to be content as it is, and with neither change."""
    proxy = Proxy(world.endpoint)
    behind = World(proxy.endpoint, world.control, world.key)
    done: set[tuple[str, str]] = set()
    for case in CASES:
        for protocol in protocols(case.service):
            if case.code is None and (case.operation, protocol) not in done and has_answer(behind, case, protocol):
                done.add((case.operation, protocol))
                one(behind, proxy, report, case, protocol)
    proxy.shutdown()


def has_answer(world: World, case: Case, protocol: str) -> bool:
    """True where an answer has anything that can be broken: S3 and an action without a result say nothing."""
    model = world.client(case.service, protocol=protocol).meta.service_model
    return not (model.resolved_protocol == "rest-xml" and case.name == "DeleteObject")


def one(world: World, proxy: Proxy, report: Report, case: Case, protocol: str) -> None:
    model = world.client(case.service, protocol=protocol).meta.service_model
    shape = model.operation_model(case.name).output_shape
    name = f"{case.operation}{f' over {protocol}' if protocol else ''}"
    sound = Report(is_silent=True)
    put(world, sound, case, protocol)
    report.judged(case.operation, "mutation", "sound", [f"{name} fails as it is"] if sound.failed else [])
    for kind in ["name", "type"]:
        said: list[str] = []
        change = mutation(shape, model.resolved_protocol, kind, case.operation, said)
        broken = Report(is_silent=True)
        put(world, broken, case, protocol, lambda change=change: proxy.armed(change))
        what = said[0] if said else "nothing was changed"
        found = [] if broken.failed and said else [f"{name}: {what}: nobody noticed"]
        report.judged(case.operation, "mutation", kind, found)
