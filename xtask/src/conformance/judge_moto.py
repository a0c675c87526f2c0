"""moto as the AWS that herder talks to: another reading of EC2, Auto Scaling, Elastic Load Balancing and STS than ours.

What herder says has to be what boto3 says of the same moto. The second time microburst stands between them and refuses calls
as AWS does when it throttles. Systems Manager, of which moto has too little, is an empty simulator.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3

from report import Report
from world import SECRET

BOUND = 60
REGION = "us-east-1"
# What is refused twice before it passes once, and as what.
THROTTLED = """rules:
  - {service: ec2, operation: DescribeInstances, sequence: {fail: 2, pass: 1}, error: {code: RequestLimitExceeded}}
  - {service: elbv2, operation: DescribeTargetGroups, sequence: {fail: 1, pass: 1}, error: {code: Throttling}}
  - {service: elbv2, operation: DescribeTargetHealth, sequence: {fail: 1, pass: 1}, error: {code: Throttling}}
"""
REFUSED = {"DescribeInstances", "DescribeTargetGroups", "DescribeTargetHealth"}


class Herder:
    """herder, with moto as its AWS."""

    def __init__(self, program: Path, directory: Path, systems_manager: str, key: str) -> None:
        self.program, self.directory = program, directory
        self.own = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "XDG_STATE_HOME": str(directory / "state"),
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_SSM": systems_manager,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def run(self, endpoint: str, *arguments: str) -> tuple[int, str, str]:
        environment = {**self.own, "AWS_ENDPOINT_URL": endpoint}
        command = [str(self.program), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=BOUND, check=False)
        return done.returncode, done.stdout, done.stderr

    def nodes(self, endpoint: str, *arguments: str) -> list[dict[str, Any]]:
        status, out, err = self.run(endpoint, *arguments, "--json")
        if status != 0:
            raise AssertionError(f"herder {' '.join(arguments)}: exit {status}: {err.strip()[:400]}")
        return json.loads(out)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def served(arguments: list[str], port: int, ready: str) -> Iterator[str]:
    """A server of others in a process of its own, as long as it is needed."""
    endpoint = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + BOUND
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(endpoint + ready, timeout=5).close()
                break
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"{arguments} does not answer")
            time.sleep(0.1)
        yield endpoint
    finally:
        process.terminate()
        process.wait(BOUND)


class Fleet:
    """A fleet in moto, and what boto3 says of it."""

    def __init__(self, endpoint: str, key: str) -> None:
        own = {"region_name": REGION, "endpoint_url": endpoint, "aws_access_key_id": key, "aws_secret_access_key": SECRET}
        self.ec2, self.groups = boto3.client("ec2", **own), boto3.client("autoscaling", **own)
        self.balancing, self.sts = boto3.client("elbv2", **own), boto3.client("sts", **own)
        vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.subnets = [subnet["SubnetId"] for subnet in self.ec2.describe_subnets()["Subnets"]][:2]
        self.image = self.ec2.describe_images()["Images"][0]["ImageId"]
        for name, count, tags in [("db", 3, {"env": "prod"}), ("batch", 2, {"env": "dev", "weird": "a,b c=d"})]:
            named = [{"Key": key, "Value": value} for key, value in {"Name": name, **tags}.items()]
            self.ec2.run_instances(
                ImageId=self.image,
                MinCount=count,
                MaxCount=count,
                InstanceType="t3.micro",
                SubnetId=self.subnets[0],
                TagSpecifications=[{"ResourceType": "instance", "Tags": named}],
            )
        data = {"ImageId": self.image, "InstanceType": "t3.small"}
        self.ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
        group = self.balancing.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]
        self.target_group = group["TargetGroupArn"]
        tag = {
            "Key": "Name",
            "Value": "web",
            "PropagateAtLaunch": True,
            "ResourceId": "web",
            "ResourceType": "auto-scaling-group",
        }
        self.groups.create_auto_scaling_group(
            AutoScalingGroupName="web",
            MinSize=2,
            MaxSize=4,
            DesiredCapacity=4,
            LaunchTemplate={"LaunchTemplateName": "web", "Version": "$Latest"},
            VPCZoneIdentifier=",".join(self.subnets),
            TargetGroupARNs=[self.target_group],
            Tags=[tag],
        )
        self.ec2.stop_instances(InstanceIds=self.ids("tag:Name", "batch")[:1])

    def instances(self, *filters: tuple[str, str]) -> list[dict[str, Any]]:
        asked = [{"Name": name, "Values": [value]} for name, value in filters]
        found = self.ec2.get_paginator("describe_instances").paginate(Filters=asked)
        return [instance for page in found for reservation in page["Reservations"] for instance in reservation["Instances"]]

    def ids(self, *named: str) -> list[str]:
        filters = [(named[0], named[1])] if named else []
        return sorted(instance["InstanceId"] for instance in self.instances(*filters))

    def members(self) -> list[str]:
        group = self.groups.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"][0]
        return sorted(instance["InstanceId"] for instance in group["Instances"])

    def registered(self) -> list[str]:
        health = self.balancing.describe_target_health(TargetGroupArn=self.target_group)
        return sorted(target["Target"]["Id"] for target in health["TargetHealthDescriptions"])


def run(program: Path, systems_manager: str, key: str, report: Report) -> None:
    port, between = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (directory / "rules.yml").write_text(THROTTLED)
        moto = ["-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        direct = stack.enter_context(served(moto, port, "/moto-api/data.json"))
        burst = ["-m", "microburst", "--upstream", direct, "--host", "127.0.0.1", "--port", str(between)]
        burst += ["--config", str(directory / "rules.yml")]
        throttled = stack.enter_context(served(burst, between, "/_microburst/fired"))
        fleet, herder = Fleet(direct, key), Herder(program, directory, systems_manager, key)
        judged(fleet, herder, direct, "moto", report)
        judged(fleet, herder, throttled, "moto behind microburst", report)
        with urllib.request.urlopen(throttled + "/_microburst/fired") as answer:
            fired = {one["operation"] for one in json.load(answer)}
        missing = [f"{name} was never refused" for name in sorted(REFUSED - fired)]
        report.judged("throttling", "moto behind microburst", "calls of each kind were refused, and made again", missing)


def judged(fleet: Fleet, herder: Herder, endpoint: str, judge: str, report: Report) -> None:
    def check(what: str, name: str, found: Callable[[], list[str]]) -> None:
        try:
            report.judged(what, judge, name, found())
        except (AssertionError, LookupError, ValueError, subprocess.TimeoutExpired) as error:
            report.wrong(what, judge, name, f"{error}")

    check("whoami", "account and principal are what STS says", lambda: who(fleet, herder, endpoint))
    check("nodes list", "every instance, with what EC2 says of it", lambda: listed(fleet, herder, endpoint))
    check("nodes show", "one of them", lambda: shown(fleet, herder, endpoint))
    first = fleet.ids("tag:Name", "db")[0]
    minus = lambda all_of, without: sorted(set(all_of) - set(without))
    zone = fleet.instances(("tag:Name", "db"))[0]["Placement"]["AvailabilityZone"]
    selectors = [
        (first, "an id", [first]),
        ("name:db", "name:", fleet.ids("tag:Name", "db")),
        ("tag:env=prod", "tag:", fleet.ids("tag:env", "prod")),
        ("asg:web", "asg:", fleet.members()),
        ("tg:web", "tg: by name", fleet.registered()),
        (f"tg:{fleet.target_group}", "tg: by ARN", fleet.registered()),
        (f"az:{zone}", "az:", fleet.ids("availability-zone", zone)),
        (f"subnet:{fleet.subnets[0]}", "subnet:", fleet.ids("subnet-id", fleet.subnets[0])),
        (f"ami:{fleet.image}", "ami:", fleet.ids("image-id", fleet.image)),
        ("asg:web and not " + fleet.members()[0], "and not", fleet.members()[1:]),
        ("not asg:web", "not", minus(fleet.ids(), fleet.members())),
        ("all", "all", fleet.ids()),
    ]
    # Once is enough for what differs in the selector only.
    for selector, kind, expected in (
        selectors if judge == "moto" else [s for s in selectors if s[1] in ("tag:", "asg:", "tg: by name")]
    ):
        check("nodes list -t", kind, lambda s=selector, e=expected: resolved(herder, endpoint, s, e))
    for selector in ["asg:nowhere", "tg:nowhere", "tag:env=nothing"] if judge == "moto" else []:
        check(
            "nodes list -t",
            f"{selector.partition(':')[0]}: that nothing fits is exit 3",
            lambda s=selector: nothing(herder, endpoint, s),
        )


def who(fleet: Fleet, herder: Herder, endpoint: str) -> list[str]:
    caller = fleet.sts.get_caller_identity()
    status, out, err = herder.run(endpoint, "whoami")
    return [] if status == 0 and caller["Account"] in out and caller["Arn"] in out else [f"exit {status}: {out}{err}"]


def listed(fleet: Fleet, herder: Herder, endpoint: str) -> list[str]:
    nodes = {node["id"]: node for node in herder.nodes(endpoint, "nodes", "list")}
    instances = {instance["InstanceId"]: instance for instance in fleet.instances()}
    found = [f"{sorted(nodes)}, should be {sorted(instances)}"] if nodes.keys() != instances.keys() else []
    for name, instance in instances.items():
        tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
        expected = {
            "name": tags["Name"],
            "tags": tags,
            "asg": tags.get("aws:autoscaling:groupName"),
            "az": instance["Placement"]["AvailabilityZone"],
            "state": instance["State"]["Name"],
            "instance_type": instance["InstanceType"],
            "image": instance["ImageId"],
            "private_ip": instance.get("PrivateIpAddress"),
            "managed": False,
            "region": REGION,
        }
        node = nodes.get(name, {})
        found += [
            f"{name}.{key}: {node.get(key)!r}, should be {value!r}" for key, value in expected.items() if node.get(key) != value
        ]
    return found


def shown(fleet: Fleet, herder: Herder, endpoint: str) -> list[str]:
    wanted = fleet.ids("tag:Name", "db")[1]
    status, out, err = herder.run(endpoint, "nodes", "show", wanted)
    return [] if status == 0 and wanted in out and fleet.image in out else [f"exit {status}: {out[:300]}{err[:300]}"]


def resolved(herder: Herder, endpoint: str, selector: str, expected: list[str]) -> list[str]:
    found = sorted(node["id"] for node in herder.nodes(endpoint, "nodes", "list", "-t", selector))
    if not expected:
        return [f"{selector}: nothing to compare with"]
    return [] if found == expected else [f"{selector}: {found}, should be {expected}"]


def nothing(herder: Herder, endpoint: str, selector: str) -> list[str]:
    status, _, err = herder.run(endpoint, "nodes", "list", "-t", selector)
    return [] if status == 3 else [f"{selector}: exit {status}: {err[:300]}"]
