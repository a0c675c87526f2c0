"""The aws CLI as the judge: every case once more, by its own argument parser, endpoint settings and output formatter.

Its own driver is called in this process, since a new one for each call would take the minutes that nobody waits for.
`cargo xtask test` has other checks that start the real program.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import botocore
from awscli.clidriver import CLIDriver, create_clidriver
from botocore.exceptions import BotoCoreError, ClientError

from cases import CASES, Case
from report import Report
from world import SECRET, World

CONFIG = "[default]\nparameter_validation = false\ns3 =\n    addressing_style = path\n"
# The CLI takes a file's place on the command line instead of a member.
BLOBS = {"CiphertextBlob": "--ciphertext-blob"}
# Stands in for the program that the CLI gives a session to: it checks what it is given.
PLUGIN = """#!{python}
import json, sys
if sys.argv[1] == "--version":
    sys.exit(print("1.2.0.0"))
answer = json.loads(sys.argv[1])
sys.exit(0 if {{"SessionId", "TokenValue", "StreamUrl"}} <= answer.keys() and sys.argv[3] == "StartSession" else 9)
"""


class Shell:
    """The aws CLI in this process."""

    def __init__(self, world: World, directory: Path) -> None:
        self.directory = directory
        (directory / "config").write_text(CONFIG)
        plugin = directory / "session-manager-plugin"
        plugin.write_text(PLUGIN.format(python=sys.executable))
        plugin.chmod(0o755)
        os.environ |= {
            "AWS_CONFIG_FILE": str(directory / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ENDPOINT_URL": world.endpoint,
            "AWS_ACCESS_KEY_ID": world.key,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
            "PATH": f"{directory}{os.pathsep}{os.environ['PATH']}",
        }
        # One driver keeps the models that it has read.
        self.driver: CLIDriver = create_clidriver()

    def run(self, arguments: list[str], region: str) -> tuple[int, str, str]:
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = self.driver.main([*arguments, "--region", region, "--output", "json"])
        out.flush()
        return status, out.buffer.getvalue().decode(), err.getvalue()

    def arguments(self, case: Case, params: dict[str, Any]) -> list[str]:
        service = "s3api" if case.service == "s3" else case.service
        command = [service, botocore.xform_name(case.name, "-")]
        plain = dict(params)
        if body := plain.pop("Body", None):
            command += ["--body", str(self.file("body", body))]
        for name in plain.keys() & BLOBS.keys():
            command += [BLOBS[name], f"fileb://{self.file(name, plain.pop(name))}"]
        if case.service == "s3" and "IfMatch" in plain:
            command += ["--if-match", plain.pop("IfMatch")]
        if case.operation == "s3.GetObject":
            command += ["--bucket", plain.pop("Bucket"), "--key", plain.pop("Key")]
            command += ["--range", plain.pop("Range")] if "Range" in plain else []
            return [*command, str(self.directory / "object")]
        # Pages are as boto3 has them: one a call.
        return [*command, "--no-paginate", "--cli-input-json", json.dumps(plain)]

    def file(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        return path


def run(world: World, report: Report, wanted: set[str] | None = None) -> None:
    with tempfile.TemporaryDirectory() as directory:
        shell = Shell(world, Path(directory))
        for case in CASES:
            if wanted is None or case.operation in wanted:
                report.judged(case.operation, "aws CLI", "error" if case.code else "answer", put(world, shell, case))


def put(world: World, shell: Shell, case: Case) -> list[str]:
    try:
        params = case.params(world)
    except (BotoCoreError, ClientError, AssertionError, LookupError) as error:
        return [f"what it needs is not there: {error!r}"]
    arguments = shell.arguments(case, params)
    status, out, err = shell.run(arguments, case.region)
    shown = f"aws {' '.join(arguments)[:200]}"
    if case.code:
        code = re.search(r"An error occurred \(([^)]*)\)", err)
        found = code.group(1) if code else f"{status}: {err or out}"[:300]
        return [] if found == case.code else [f"{shown}: {found}, should be {case.code}"]
    if status != 0:
        return [f"{shown}: {err.strip()[:300]}"]
    try:
        answer = json.loads(out) if out.strip() else {}
        return [] if not out.strip() or case.check(world, answer) else [f"{shown}: not what was expected: {out[:300]}"]
    except (ValueError, LookupError, TypeError) as error:
        return [f"{shown}: {error!r}: {out[:200]}"]
