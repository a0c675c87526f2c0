"""Paginators to their end, and waiters, as botocore's own lists of both have them: none that could be tried is left out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import botocore
from botocore.exceptions import BotoCoreError, ClientError, WaiterError
from botocore.model import OperationModel

from cases import CASES
from report import Report
from world import World

Params = Callable[[World], dict[str, Any]]

# What a paginated operation has to be told, besides the size of its pages.
PAGED: dict[str, Params] = {
    "ssm.ListCommandInvocations": lambda w: {"CommandId": seen(w, w.linux[:12])},
    "ssm.ListCommands": lambda w: {"InstanceId": [w.send(nodes=w.linux[5:6]) for _ in range(7)] and w.linux[5]},
    "ssm.DescribeSessions": lambda w: {"State": "Active", "Filters": [{"key": "Target", "value": busy(w)}]},
    "organizations.ListAccountsForParent": lambda w: {"ParentId": "ou-sim1-sandboxes"},
    "organizations.ListOrganizationalUnitsForParent": lambda w: {"ParentId": root(w)},
    "resource-groups.ListGroupResources": lambda w: {"Group": "env-prod"},
    "s3.ListObjectsV2": lambda w: {"Bucket": "herder-output", "Prefix": f"judged/{w.executed}/"},
    "logs.DescribeLogGroups": lambda w: {"logGroupNamePrefix": w.executed and "jud"},
    "logs.DescribeLogStreams": lambda w: {"logGroupName": w.stream and "judged", "logStreamNamePrefix": w.executed},
    "logs.FilterLogEvents": lambda w: {"logGroupName": "judged", "logStreamNames": [w.stream]},
}
# The smallest page that an operation takes; 1 where it is not here.
SMALLEST = {
    "ssm.DescribeInstanceInformation": 5,
    "ssm.DescribeInstanceProperties": 5,
    "ec2.DescribeInstances": 5,
    "ec2.DescribeTags": 5,
}
# Pages larger than the least, where that would only be slow.
PAGE = {"ec2.DescribeTags": 100}
# Fewer items than a second page needs.
ONE_PAGE = {
    "ec2.DescribeRegions",
    "elbv2.DescribeLoadBalancers",
    "elbv2.DescribeTargetHealth",
    "logs.DescribeLogGroups",
    "organizations.ListRoots",
}

WAITED: dict[str, Params] = {
    "ssm.command_executed": lambda w: {"CommandId": w.send("sleep 2"), "InstanceId": w.linux[0]},
    "ec2.instance_exists": lambda w: {"InstanceIds": w.linux[:1]},
    "ec2.instance_running": lambda w: {"InstanceIds": started(w)},
    "ec2.instance_stopped": lambda w: {"InstanceIds": changed(w, "stop_instances", w.linux[-4:-3])},
    "ec2.instance_terminated": lambda w: {"InstanceIds": changed(w, "terminate_instances", w.linux[-5:-4])},
    "elbv2.load_balancer_available": lambda w: {"Names": ["alb-main"]},
    "elbv2.load_balancer_exists": lambda w: {"Names": ["alb-main"]},
    "elbv2.load_balancers_deleted": lambda w: {"Names": ["nowhere"]},
    "elbv2.target_in_service": lambda w: {"TargetGroupArn": w.target_group, "Targets": [{"Id": healthy(w)}]},
    "elbv2.target_deregistered": lambda w: {"TargetGroupArn": w.target_group, "Targets": [{"Id": "i-00000000000000000"}]},
    "cloudwatch.alarm_exists": lambda w: {"AlarmNames": ["errors"]},
    "cloudwatch.composite_alarm_exists": lambda w: {"AlarmNames": ["anything"], "AlarmTypes": ["CompositeAlarm"]},
    "s3.bucket_exists": lambda w: {"Bucket": "herder-output"},
    "s3.bucket_not_exists": lambda w: {"Bucket": "nowhere-at-all"},
    "s3.object_exists": lambda w: {"Bucket": "herder-output", "Key": put(w)},
    "s3.object_not_exists": lambda w: {"Bucket": "herder-output", "Key": "nowhere"},
}
# Waiters that can't be satisfied: what they wait for is not simulated.
UNWAITED = {"cloudwatch.alarm_mute_rule_exists", "cloudwatch.log_alarm_exists"}


def root(world: World) -> str:
    return world.client("organizations").list_roots()["Roots"][0]["Id"]


def seen(world: World, nodes: list[str]) -> str:
    """A command on these nodes, as soon as the service shows its invocations."""
    command, until = world.send(nodes=nodes), time.monotonic() + 20
    while time.monotonic() < until:
        found = world.client("ssm").list_command_invocations(CommandId=command)
        if len(found["CommandInvocations"]) == len(nodes):
            return command
        time.sleep(0.1)
    raise AssertionError("no invocations after 20 s")


def busy(world: World) -> str:
    """A node with three sessions."""
    for _ in range(3):
        world.session(world.linux[8])
    return world.linux[8]


def changed(world: World, call: str, nodes: list[str]) -> list[str]:
    getattr(world.client("ec2"), call)(InstanceIds=nodes)
    return nodes


def started(world: World) -> list[str]:
    nodes = world.linux[-6:-5]
    changed(world, "stop_instances", nodes)
    world.client("ec2").get_waiter("instance_stopped").wait(InstanceIds=nodes, WaiterConfig={"Delay": 0.2, "MaxAttempts": 100})
    return changed(world, "start_instances", nodes)


def healthy(world: World) -> str:
    health = world.client("elbv2").describe_target_health(TargetGroupArn=world.target_group)
    targets = health["TargetHealthDescriptions"]
    return next(t["Target"]["Id"] for t in targets if t["TargetHealth"]["State"] == "healthy")


def put(world: World) -> str:
    world.client("s3").put_object(Bucket="herder-output", Key="waited", Body=b"x")
    return "waited"


def pages(world: World, report: Report, operations: list[str]) -> None:
    """Goes through every paginator, by the smallest pages, and compares with one large page."""
    for operation in operations:
        service, _, name = operation.partition(".")
        client, call = world.client(service), botocore.xform_name(name)
        if not client.can_paginate(call):
            continue
        try:
            found = walked(world, operation, client.get_paginator(call))
        except (BotoCoreError, ClientError, AssertionError, LookupError) as error:
            found = [f"{error!r}"]
        report.judged(operation, "boto3", "paginator", found)


def walked(world: World, operation: str, paginator: Any) -> list[str]:
    params = PAGED.get(operation, lambda w: {})(world)
    size = PAGE.get(operation, SMALLEST.get(operation, 1))
    key = paginator.result_keys[0]
    count = lambda pages: [len(key.search(page) or []) for page in pages]
    has_limit = paginator._limit_key is not None
    small = list(paginator.paginate(**params, PaginationConfig={"PageSize": size} if has_limit else {}))
    items = [str(item) for page in small for item in key.search(page) or []]
    whole = sum(count(paginator.paginate(**params)))
    found = []
    if len(items) != whole:
        found.append(f"{len(items)} items in pages of {size}, {whole} in large ones")
    if len(set(items)) != len(items):
        found.append(f"{len(items) - len(set(items))} items twice")
    if has_limit and max(count(small), default=0) > size:
        found.append(f"a page has {max(count(small))} items, asked for {size}")
    if len(small) < 2 and operation not in ONE_PAGE:
        found.append(f"one page only, of {len(items)} items: nothing is shown")
    return found


def waiters(world: World, report: Report, operations: list[str]) -> None:
    """Lets every waiter of these operations wait."""
    for service in sorted({operation.partition(".")[0] for operation in operations}):
        client = world.client(service)
        for name in client.waiter_names:
            waiter, full = client.get_waiter(name), f"{service}.{name}"
            operation = f"{service}.{waiter.config.operation}"
            if operation not in operations or full in UNWAITED:
                continue
            report.judged(operation, "boto3", "waiter", waited(world, full, waiter))


def waited(world: World, name: str, waiter: Any) -> list[str]:
    if name not in WAITED:
        return [f"{name}: nobody says what it is to wait for (WAITED in judge_walks.py)"]
    try:
        waiter.wait(**WAITED[name](world), WaiterConfig={"Delay": 0.2, "MaxAttempts": 100})
    except (WaiterError, BotoCoreError, ClientError, LookupError) as error:
        return [f"{name}: {error}"]
    return []


def failing_waiter(world: World, report: Report) -> None:
    """A command that fails has to end the waiter in its terminal state, not in a time-out."""
    waiter = world.client("ssm").get_waiter("command_executed")
    command = world.send("exit 3")
    found = []
    try:
        waiter.wait(CommandId=command, InstanceId=world.linux[0], WaiterConfig={"Delay": 0.2, "MaxAttempts": 100})
        found = ["a command that failed satisfied command_executed"]
    except WaiterError as error:
        if "terminal failure state" not in str(error):
            found = [f"{error}"]
    report.judged("ssm.GetCommandInvocation", "boto3", "waiter", found)


def limits(world: World, report: Report, operations: list[str]) -> None:
    """Breaks, one by one, every constraint that the model has on a member of a request: each has to be refused."""
    for operation in operations:
        service, _, name = operation.partition(".")
        base = next((case for case in CASES if case.operation == operation and case.code is None), None)
        model = world.client(service).meta.service_model.operation_model(name)
        if base is None or model.input_shape is None:
            continue
        for what, broken in broken_params(model, base.params(world)):
            report.judged(operation, "boto3", "limit", refused(world, operation, what, broken))


def refused(world: World, operation: str, what: str, params: dict[str, Any]) -> list[str]:
    service, _, name = operation.partition(".")
    try:
        getattr(world.client(service), botocore.xform_name(name))(**params)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return [] if 400 <= status < 500 else [f"{what}: {error}"]
    except (BotoCoreError, LookupError, TypeError):
        return []  # can't be sent at all
    return [f"{what}: not refused"]


def broken_params(model: OperationModel, params: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Requests that break one constraint each, and which."""
    shape, service = model.input_shape, model.service_model.service_name
    broken = [(f"without {name}", {k: v for k, v in params.items() if k != name}) for name in shape.required_members]
    for name, member in shape.members.items():
        kind, least, most = member.type_name, member.metadata.get("min"), member.metadata.get("max")
        values: dict[str, Any] = {}
        if kind == "string":
            # S3 has its values in headers, and no front that compares them with a model.
            if service != "s3" and getattr(member, "enum", None):
                values["none of the values"] = "no-such-value"
            if most is not None and most <= 100_000:
                values[f"{most + 1} characters"] = "a" * (most + 1)
            # An empty key is no key: the request is another one.
            if least and (service, name) != ("s3", "Key"):
                values["empty"] = ""
        elif kind in ("integer", "long"):
            if most is not None:
                values[str(most + 1)] = most + 1
            if least is not None:
                values[str(least - 1)] = least - 1
        elif kind == "list" and member.member.type_name == "string":
            item = (params.get(name) or ["i-0123456789abcdef0"])[0]
            if most is not None and most <= 1000:
                values[f"{most + 1} items"] = [item] * (most + 1)
        broken += [(f"{name}: {what}", {**params, name: value}) for what, value in values.items()]
    return broken
