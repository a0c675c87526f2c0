"""What every service can answer, whatever the call: and that no error which the simulator's code can give was left out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from cases import CASES, Case
from report import Report
from shapes import error_complaints
from world import Call, World

# What AWS says to a caller whose key is unknown, has expired or signed nothing, per kind of service.
STRANGER = {
    "ec2": ("AuthFailure", "RequestExpired", "MissingParameter"),
    "s3": ("InvalidAccessKeyId", "ExpiredToken", "AccessDenied"),
    "query": ("InvalidClientTokenId", "ExpiredToken", "MissingAuthenticationToken"),
    "json": ("UnrecognizedClientException", "ExpiredTokenException", "MissingAuthenticationTokenException"),
}
DENIED = {"ec2": "UnauthorizedOperation", "s3": "AccessDenied", "query": "AccessDenied", "json": "AccessDeniedException"}
UNKNOWN = {"ec2": "InvalidAction", "s3": "NotImplemented", "query": "InvalidAction", "json": "UnknownOperationException"}
# An operation of each that is not simulated.
NOT_SIMULATED = {
    "autoscaling": ("DescribePolicies", {}),
    "cloudwatch": ("ListDashboards", {}),
    "ec2": ("DescribeVolumes", {}),
    "elbv2": ("DescribeSSLPolicies", {}),
    "kms": ("ListKeys", {}),
    "logs": ("ListAnomalies", {}),
    "organizations": ("ListHandshakesForAccount", {}),
    "resource-groups": ("GetAccountSettings", {}),
    "s3": ("GetBucketCors", {"Bucket": "herder-output"}),
    "ssm": ("DescribePatchBaselines", {}),
    "sts": ("GetFederationToken", {"Name": "judged"}),
}
# Where the code is by the source, and who gives it: the front of a service, not one of its operations.
SOURCES = {
    "autoscaling": "autoscaling",
    "cloudwatch": "cloudwatch",
    "ec2": "ec2",
    "elb": "elbv2",
    "kms": "kms",
    "logs": "logs",
    "messages": "ec2messages",
    "organizations": "organizations",
    "resource_groups": "resource-groups",
    "s3": "s3",
    "ssm": "ssm",
    "sts": "sts",
}
GIVEN = re.compile(r'ApiError::(?:new|bare)\(\s*"([\w.]+)"|\.named\("([\w.]+)"\)')
# Codes of the code that no call of a client can lead to, and why.
UNREACHABLE = {
    ("kms", "KMSInternalException"),  # no random numbers; judged as a fault below
    ("kms", "SerializationException"),  # no client writes a body like that
    ("s3", "PermanentRedirect"),  # boto3 follows it: judged by the redirect below
    ("ssm", "InvalidActivation"),  # of the agent's own operations, as are the next two
    ("ssm", "InvalidSignatureException"),
    ("ssm", "MachineFingerprintDoesNotMatch"),
}


def kind(world: World, service: str) -> str:
    protocol = world.client(service).meta.service_model.resolved_protocol
    if service == "cloudwatch":
        return "query"  # whose names its newer protocols go on to give
    return {"ec2": "ec2", "rest-xml": "s3", "query": "query"}.get(protocol, "json")


def run(world: World, report: Report, operations: list[str]) -> None:
    firsts: dict[str, Case] = {}
    for case in CASES:
        if case.code is None and case.operation in operations:
            firsts.setdefault(case.service, case)
    for service, case in sorted(firsts.items()):
        params = case.params(world)
        of_service(world, report, (service, kind(world, service)), case, params)
    redirect(world, report)


def of_service(world: World, report: Report, named: tuple[str, str], case: Case, params: dict[str, Any]) -> None:
    service, family = named
    stranger, expired, unsigned = STRANGER[family]
    fault = lambda **of_api: ("faults", {"apis": {case.name: of_api}})
    calm: tuple[str, dict[str, Any]] = ("faults", {})
    down = {"region": "us-east-1", "down": "unavailable"}
    throttling = ThrottledRetryableChecker._THROTTLED_ERROR_CODES
    again = TransientRetryableChecker._TRANSIENT_STATUS_CODES
    is_throttled = lambda call: call.code in throttling
    is_transient = lambda call: call.answer.status in again
    is_code = lambda *codes: lambda call: call.code in codes
    key = {"aws_access_key_id": "AKIANOBODYKNOWSTHIS00"}
    for what, before, after, fits, more in [
        ("throttled", fault(throttle=1.0), calm, is_throttled, {}),
        ("internal error", fault(errors_before=1.0), calm, is_transient, {}),
        ("unavailable", ("region", down), ("region", {**down, "down": None}), is_transient, {}),
        ("denied", ("faults", {"deny": [case.name]}), calm, is_code(DENIED[family]), {}),
        ("unknown key", None, None, is_code(stranger), key),
        ("expired", ("credentials", {"expired": True}), ("credentials", {"expired": False}), is_code(expired), {}),
    ]:
        if before:
            world.ask(*before)
        try:
            found = asked(world, world.client(service, **more), (case.name, params), fits)
        finally:
            if after:
                world.ask(*after)
        report.judged(case.operation, "boto3", "service error", [f"{what}: {line}" for line in found])
    found = asked(world, without_signature(world, service), (case.name, params), is_code(unsigned))
    report.judged(case.operation, "boto3", "service error", [f"unsigned: {line}" for line in found])
    found = asked(world, world.client(service), NOT_SIMULATED[service], is_code(UNKNOWN[family]))
    report.judged(case.operation, "boto3", "service error", [f"not simulated: {line}" for line in found])


def without_signature(world: World, service: str) -> Any:
    config = Config(
        signature_version=UNSIGNED,
        parameter_validation=False,
        retries={"total_max_attempts": 1, "mode": "standard"},
        s3={"addressing_style": "path"},
    )
    client = boto3.client(service, region_name="us-east-1", endpoint_url=world.endpoint, config=config)
    client.meta.events.register("before-parse", world._received)
    client.meta.events.register_last("after-call", world._parsed)
    return client


def asked(world: World, client: Any, call: tuple[str, dict[str, Any]], fits: Any) -> list[str]:
    name, params = call
    calls: list[Call] = []
    before, world.on_call = world.on_call, calls.append
    try:
        getattr(client, botocore.xform_name(name))(**params)
        return ["it succeeded"]
    except ClientError:
        last = calls[-1]
        found = [] if fits(last) else [f"{last.code}, status {last.answer.status}"]
        is_modeled = last.answer.body and last.code not in ("InternalError", "SlowDown")
        return found + (error_complaints(last.model, last.protocol, last.answer, last.code or "") if is_modeled else [])
    finally:
        world.on_call = before


def redirect(world: World, report: Report) -> None:
    """A bucket of another region: the client has to learn where it is from the refusal."""
    calls: list[Call] = []
    before, world.on_call = world.on_call, calls.append
    found = []
    try:
        world.client("s3").list_objects_v2(Bucket="audit")
    except ClientError as error:
        found.append(f"{error}")
    finally:
        world.on_call = before
    statuses = [call.answer.status for call in calls]
    if not found and statuses != [301, 200]:
        found.append(f"statuses {statuses}")
    report.judged("s3.ListObjectsV2", "boto3", "service error", [f"redirect: {line}" for line in found])


def left_out(sources: Path) -> Iterator[tuple[str, str]]:
    """Codes in the simulator's source that no case expects: their service, and the code."""
    expected: dict[str, set[str]] = defaultdict(set)
    for case in CASES:
        if case.code:
            expected[case.service].add(case.code)
    for path in sources.iterdir():
        if path.stem not in SOURCES and path.stem not in ("mod", "change"):
            yield path.stem, "(all of it: SOURCES in judge_errors.py does not know it)"
    for name, service in SOURCES.items():
        given: set[str] = set()
        for path in [sources / f"{name}.rs", *sorted((sources / name).glob("*.rs"))]:
            if path.exists() and not path.stem.endswith("tests"):
                production = path.read_text().split("#[cfg(test)]\nmod tests {")[0]
                given |= {one or other for one, other in GIVEN.findall(production)}
        for code in sorted(given - expected[service]):
            if (service, code) not in UNREACHABLE and not is_renamed(code, expected[service]):
                yield service, code


def is_renamed(code: str, expected: set[str]) -> bool:
    """A service may give a general error a name of its own."""
    return code in ("InvalidNextToken", "ValidationException", "InvalidParameterValue") and bool(
        expected & {"ValidationError", "BadRequestException", "InvalidInputException", "InvalidParameterException"}
    )
