"""What is asked of the simulator, and what has to come back: calls that succeed, and errors that it can produce.

Cases are for boto3 and for the aws CLI alike: parameters as botocore names them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from world import World

Params = dict[str, Any]
Check = Callable[[World, dict[str, Any]], object]


@dataclass(frozen=True)
class Case:
    """A call. With a code it has to fail so; without one it has to succeed, and what it gives has to pass the check."""

    operation: str
    params: Callable[[World], Params]
    code: str | None = None
    check: Check = field(default=lambda world, answer: True)
    region: str = "us-east-1"

    @property
    def service(self) -> str:
        return self.operation.partition(".")[0]

    @property
    def name(self) -> str:
        return self.operation.partition(".")[2]


CASES: list[Case] = []

# Calls of AWS's agent: no public model has them, so that there is nothing to judge them by.
UNMODELED = {
    "ec2messages.GetMessages",
    "ssm.ListInstanceAssociations",
    "ssm.RegisterManagedInstance",
    "ssm.RequestManagedInstanceRoleToken",
    "ssm.UpdateInstanceInformation",
    "ssm.UpdateManagedInstancePublicKey",
}


def _made(params: Params | Callable[[World], Params] | None) -> Callable[[World], Params]:
    return params if callable(params) else lambda world: params or {}


def good(
    operation: str,
    params: Params | Callable[[World], Params] | None = None,
    check: Check = lambda world, answer: True,
    region: str = "us-east-1",
) -> None:
    """A call that succeeds."""
    CASES.append(Case(operation, _made(params), None, check, region))


def bad(operation: str, code: str, *params: Params | Callable[[World], Params], region: str = "us-east-1") -> None:
    """Calls that are refused with a code."""
    CASES.extend(Case(operation, _made(each), code, region=region) for each in params)


NOWHERE = "i-00000000000000000"
NO_COMMAND = "00000000-0000-4000-8000-000000000000"
SHELL = "AWS-RunShellScript"
IDS = {"commands": ["id"]}
