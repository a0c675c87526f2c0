"""boto3 as the judge: every case, its raw answer against botocore's model, paginators to the end, waiters, limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import botocore
from botocore.exceptions import BotoCoreError, ClientError

import cases_compute
import cases_others
import cases_ssm
from cases import CASES, Case
from report import Report
from shapes import complaints, error_complaints
from world import Call, World

assert cases_ssm and cases_compute and cases_others  # they add to CASES

# CloudWatch speaks three protocols; everything else one.
PROTOCOLS = {"cloudwatch": ["smithy-rpc-v2-cbor", "json", "query"]}
# Codes that botocore gives where an answer has no body to say it.
NO_BODY = {"404"}


def protocols(service: str) -> list[str]:
    return PROTOCOLS.get(service, [""])


def run(world: World, report: Report, wanted: set[str] | None = None) -> None:
    """Puts all cases, or those of the operations that are wanted."""
    for case in CASES:
        if wanted is not None and case.operation not in wanted:
            continue
        for protocol in protocols(case.service):
            put(world, report, case, protocol)


def put(
    world: World,
    report: Report,
    case: Case,
    protocol: str,
    armed: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Puts one case: what it needs first, and the call itself while something is armed."""
    calls: list[Call] = []
    world.on_call = calls.append
    try:
        params = case.params(world)
    except (BotoCoreError, ClientError, AssertionError, LookupError) as error:
        report.wrong(case.operation, "boto3", "case", f"what it needs is not there: {error!r}")
        return
    # What the parameters needed was judged where it was asked for.
    calls.clear()
    world.forget()
    with armed():
        judge(world, report, case, params, protocol)
    shown = f"{case.operation}{f' over {protocol}' if protocol else ''}"
    for call in calls:
        code = call.code
        found = complaints(call.model, call.protocol, call.answer) if code is None else []
        if code is not None and call.answer.body:
            found = error_complaints(call.model, call.protocol, call.answer, code)
        kind = "shape" if code is None else "error shape"
        report.judged(case.operation, "boto3", kind, [f"{shown}: {line}" for line in found])
    if not calls:
        report.wrong(case.operation, "boto3", "shape", f"{shown}: no answer was seen")


def judge(world: World, report: Report, case: Case, params: dict[str, Any], protocol: str) -> None:
    client = world.client(case.service, case.region, protocol)
    call = getattr(client, botocore.xform_name(case.name))
    kind = "error" if case.code else "answer"
    try:
        answer = call(**params)
        if case.code:
            found = [f"it succeeded, should be {case.code}"]
        else:
            found = [] if case.check(world, answer) else [f"not what was expected: {str(answer)[:300]}"]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        found = [] if code == case.code else [f"{error}, should be {case.code or 'an answer'}"]
    except (BotoCoreError, AttributeError, LookupError, TypeError, ValueError) as error:
        # An answer that botocore or the case can't read.
        found = [f"{error!r}"]
    shown = f"{str(params)[:160]}{f' over {protocol}' if protocol else ''}"
    report.judged(case.operation, "boto3", kind, [f"{shown}: {line}" for line in found])


def uncovered(operations: list[str]) -> Iterator[str]:
    """Operations that no case has succeed."""
    succeeding = {case.operation for case in CASES if case.code is None}
    yield from sorted(set(operations) - succeeding)
