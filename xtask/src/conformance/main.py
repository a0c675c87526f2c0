"""Starts a judge; `cargo xtask conformance` calls it. What it finds goes to standard output, a line of JSON each."""

from __future__ import annotations

import argparse
from pathlib import Path

from botocore.exceptions import UnknownServiceError

import judge_boto3
import judge_cli
import judge_errors
import judge_moto
import judge_pyssm
import judge_walks
import mutation
from cases import CASES, UNMODELED
from report import Report
from world import World


def boto3(world: World, report: Report, sources: Path) -> None:
    simulated = world.operations()
    operations = [operation for operation in simulated if operation not in UNMODELED]
    for operation in simulated:
        report.judged(operation, "boto3", "modeled", modeled(world, operation))
    for operation in judge_boto3.uncovered(operations):
        report.wrong(operation, "boto3", "case", "is simulated, and no case has it succeed")
    for case in CASES:
        if case.operation not in simulated:
            report.wrong(case.operation, "boto3", "case", "has cases, and is not simulated")
    judge_boto3.run(world, report)
    judge_walks.pages(world, report, operations)
    judge_walks.waiters(world, report, operations)
    judge_walks.failing_waiter(world, report)
    judge_walks.limits(world, report, operations)
    judge_errors.run(world, report, operations)
    for service, code in judge_errors.left_out(sources):
        report.wrong(f"{service}.{code}", "boto3", "case", f"the simulator can answer {code}, and no case expects it")


def modeled(world: World, operation: str) -> list[str]:
    """An operation that no model has has to be named as such, and only such a one."""
    service, _, name = operation.partition(".")
    try:
        is_known = name in world.client(service).meta.service_model.operation_names
    except UnknownServiceError:
        is_known = False
    return [] if is_known != (operation in UNMODELED) else ["UNMODELED in cases.py is wrong about it"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judge", choices=["boto3", "cli", "mutation", "pyssm", "moto"])
    parser.add_argument("--endpoint", required=True, help="of the judge's simulator")
    parser.add_argument("--key", required=True, help="an access key that it knows")
    parser.add_argument("--sources", type=Path, required=True, help="of the simulator's services")
    parser.add_argument("--herder", type=Path, required=True)
    asked = parser.parse_args()
    world, report = World(asked.endpoint, asked.endpoint, asked.key), Report()
    if asked.judge == "boto3":
        boto3(world, report, asked.sources)
    elif asked.judge == "cli":
        judge_cli.run(world, report)
    elif asked.judge == "mutation":
        mutation.run(world, report)
    elif asked.judge == "pyssm":
        judge_pyssm.run(world, report)
    else:
        judge_moto.run(asked.herder, asked.endpoint, asked.key, report)


if __name__ == "__main__":
    main()
