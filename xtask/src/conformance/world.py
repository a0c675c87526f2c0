"""A simulator as judges see it: clients of boto3 that keep what came over the wire, and what there is to ask for."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from functools import cached_property
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader
from botocore.model import OperationModel

from shapes import Answer

# The simulator names services as IAM does; botocore has names of its own for two of them.
BOTOCORE_NAMES = {"elasticloadbalancing": "elbv2"}
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "conformance"


class OneProtocol(Loader):
    """Loads CloudWatch's model as if it spoke one protocol only."""

    def __init__(self, inner: Loader, protocol: str) -> None:
        super().__init__(extra_search_paths=inner.search_paths)
        self.protocol = protocol

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        model = super().load_service_model(service_name, type_name, api_version)
        if service_name == "cloudwatch" and type_name == "service-2":
            metadata = {**model["metadata"], "protocol": self.protocol, "protocols": [self.protocol]}
            return {**model, "metadata": metadata}
        return model


class Call:
    """One call of boto3: what came back, parsed by botocore and as it was."""

    def __init__(self, model: OperationModel, protocol: str, answer: Answer, parsed: dict[str, Any]) -> None:
        self.model, self.protocol, self.answer, self.parsed = model, protocol, answer, parsed

    @property
    def code(self) -> str | None:
        """The error's code; none where the call succeeded."""
        return None if self.answer.status < 300 else self.parsed.get("Error", {}).get("Code", "?")


class World:
    """A running simulator."""

    def __init__(self, endpoint: str, control: str, key: str) -> None:
        self.endpoint, self.control, self.key = endpoint, control, key
        self.on_call: Callable[[Call], None] = lambda call: None
        self._clients: dict[tuple[str, ...], Any] = {}
        self._pending: list[tuple[OperationModel, Answer]] = []

    def operations(self) -> list[str]:
        """`ssm.SendCommand` and so on: all that is simulated."""
        simulated = self.ask("operations")
        names = {service: BOTOCORE_NAMES.get(service, service) for service in simulated}
        return sorted(f"{names[service]}.{name}" for service, all_of in simulated.items() for name in all_of)

    def ask(self, path: str, body: Any = None) -> Any:
        """Talks to the simulator's control interface, never through a proxy."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.control}/_sim/{path}", data)) as answer:
            return json.load(answer)

    def client(self, service: str, region: str = "us-east-1", protocol: str = "", **credentials: str) -> Any:
        """A client that checks nothing by itself and tries once."""
        key = (service, region, protocol, *credentials.values())
        if key not in self._clients:
            core = botocore.session.get_session()
            if protocol:
                core.register_component("data_loader", OneProtocol(core.get_component("data_loader"), protocol))
            session = boto3.Session(botocore_session=core)
            own = {"aws_access_key_id": self.key, "aws_secret_access_key": SECRET, **credentials}
            config = Config(
                parameter_validation=False,
                retries={"total_max_attempts": 1, "mode": "standard"},
                s3={"addressing_style": "path"},
                read_timeout=30,
            )
            client = session.client(service, region_name=region, endpoint_url=self.endpoint, config=config, **own)
            client.meta.events.register("before-parse", self._received)
            client.meta.events.register_last("after-call", self._parsed)
            self._clients[key] = client
        return self._clients[key]

    def forget(self) -> None:
        """Forgets answers that botocore could not read."""
        self._pending.clear()

    def _received(self, operation_model: OperationModel, response_dict: dict[str, Any], **_: Any) -> None:
        body = response_dict["body"]
        raw = body if isinstance(body, bytes) else b""  # what is streamed has no shape
        headers = {name.lower(): value for name, value in response_dict["headers"].items()}
        self._pending.append((operation_model, Answer(response_dict["status_code"], headers, raw)))

    def _parsed(self, parsed: dict[str, Any], model: OperationModel, **_: Any) -> None:
        while self._pending:
            asked, answer = self._pending.pop(0)
            protocol = asked.service_model.resolved_protocol
            self.on_call(Call(asked, protocol, answer, parsed))

    # ------------------------------------------------------------------------------------------- what there is to ask for

    @cached_property
    def nodes(self) -> list[dict[str, Any]]:
        return [node for node in self.ask("nodes") if node["region"] == "us-east-1"]

    def _picked(self, platform: str, prefix: str = "i-") -> list[str]:
        is_one = lambda node: node["managed"] and node["state"] == "running" and node["platform"] == platform
        return [node["id"] for node in self.nodes if is_one(node) and node["id"].startswith(prefix)]

    @cached_property
    def linux(self) -> list[str]:
        return self._picked("Linux")

    @cached_property
    def windows(self) -> str:
        return self._picked("Windows")[0]

    @cached_property
    def hybrid(self) -> str:
        return next(node["id"] for node in self.nodes if node["id"].startswith("mi-"))

    @cached_property
    def stopped(self) -> list[str]:
        return [node["id"] for node in self.nodes if node["state"] == "stopped"]

    @cached_property
    def offline(self) -> str:
        return next(node["id"] for node in self.nodes if node["managed"] and node["ping"] == "ConnectionLost")

    def send(self, line: str = "uptime", nodes: list[str] | None = None, **more: Any) -> str:
        """Runs a command; its id."""
        sent = self.client("ssm").send_command(
            DocumentName="AWS-RunShellScript",
            Parameters={"commands": [line]},
            InstanceIds=nodes or self.linux[:1],
            **more,
        )
        return sent["Command"]["CommandId"]

    @cached_property
    def executed(self) -> str:
        """A command that has ended on the first two Linux nodes, with its output in S3 and in CloudWatch Logs."""
        logs = {"CloudWatchLogGroupName": "judged", "CloudWatchOutputEnabled": True}
        text = "for n in 1 2 3; do echo line $n; sleep 1; done; echo oops >&2"
        nodes = self.linux[:2]
        command = self.send(
            text, nodes, OutputS3BucketName="herder-output", OutputS3KeyPrefix="judged", CloudWatchOutputConfig=logs
        )
        waiter = self.client("ssm").get_waiter("command_executed")
        for node in nodes:
            waiter.wait(CommandId=command, InstanceId=node, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
        return command

    @cached_property
    def stream(self) -> str:
        """The log stream of that command's output on its first node."""
        prefix = f"{self.executed}/{self.linux[0]}/"
        until = time.monotonic() + 20
        while time.monotonic() < until:
            found = self.client("logs").describe_log_streams(logGroupName="judged", logStreamNamePrefix=prefix)
            for stream in found["logStreams"]:
                if stream["logStreamName"].endswith("stdout"):
                    return stream["logStreamName"]
            time.sleep(0.1)
        raise AssertionError("no log stream after 20 s")

    def session(self, node: str | None = None) -> str:
        return self.client("ssm").start_session(Target=node or self.linux[0])["SessionId"]

    @cached_property
    def target_group(self) -> str:
        return self.client("elbv2").describe_target_groups(Names=["tg-web"])["TargetGroups"][0]["TargetGroupArn"]

    @cached_property
    def balancer(self) -> str:
        return self.client("elbv2").describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]

    @cached_property
    def data_key(self) -> bytes:
        made = self.client("kms").generate_data_key(KeyId="alias/sessions", NumberOfBytes=64)
        return made["CiphertextBlob"]
