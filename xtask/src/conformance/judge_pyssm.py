"""pyssm-client, a Session Manager client of others: it runs commands on the simulator, opens shells and forwards ports.

It writes its own frames, acknowledgements, handshake and multiplexer.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from report import Report
from world import SECRET, World

JUDGE = "pyssm-client"
PROGRAM = str(Path(sys.executable).parent / "pyssm")
BOUND = 60


def environment(world: World) -> dict[str, str]:
    own = {
        "AWS_ACCESS_KEY_ID": world.key,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": world.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "TERM": "xterm",
    }
    return {**os.environ, **own}


def run(world: World, report: Report) -> None:
    node = world.linux[0]
    for name, line, expected in [
        ("prints on standard output", "echo $((40+2))", (0, "42", "")),
        ("shows what a terminal shows", "echo out; echo err >&2", (0, "out\nerr", "")),
        ("passes the exit code", "exit 3", (3, "", "")),
        ("carries much output", "seq 1 20000", (0, "\n".join(map(str, range(1, 20_001))), "")),
    ]:
        report.judged("a command", JUDGE, name, executed(world, node, line, expected))
    report.judged("a shell", JUDGE, "answers what is typed, and ends with exit", typed(world, node))
    with forwarded(world, node, 80) as port:
        report.judged("a port", JUDGE, "gets a page over HTTP", page(port))
        report.judged("a port", JUDGE, "carries four connections side by side", side_by_side(port))
    # A port that answers with what it gets says nothing of the multiplexer: frames come back as frames.
    with forwarded(world, node, 10010) as port:
        report.judged("a port", JUDGE, "carries a megabyte, byte for byte", carried(world, port, 1 << 20))
    # A client that leaves a port open leaves its session to the service, which ends it after a while.
    sessions = world.client("ssm").describe_sessions(State="Active")["Sessions"]
    found = [f"{session['SessionId']} goes on" for session in sessions if "PortForwarding" not in session["DocumentName"]]
    report.judged("a session", JUDGE, "of a command or a shell has ended with it", found)


def executed(world: World, node: str, line: str, expected: tuple[int, str, str]) -> list[str]:
    command = [PROGRAM, "exec", "--target", node, "--command", line]
    done = subprocess.run(command, env=environment(world), capture_output=True, text=True, timeout=BOUND, check=False)
    found = (done.returncode, done.stdout.replace("\r\n", "\n").strip(), done.stderr.strip())
    return [] if found == expected else [f"{line}: {str(found)[:500]}, should be {str(expected)[:200]}"]


def typed(world: World, node: str) -> list[str]:
    """A shell in a terminal: what is typed is answered."""
    parent, child = pty.openpty()
    command = [PROGRAM, "ssh", "--target", node]
    shell = subprocess.Popen(command, env=environment(world), stdin=child, stdout=child, stderr=child, start_new_session=True)
    os.close(child)
    seen = b""
    try:
        seen += read_until(parent, rb"[$#] $")
        os.write(parent, b"echo $((40+2)) judged\r")
        seen += read_until(parent, rb"42 judged")
        os.write(parent, b"exit\r")
        shell.wait(BOUND)
    except (TimeoutError, subprocess.TimeoutExpired) as error:
        return [f"{error!r} after {seen[-300:]!r}"]
    finally:
        shell.kill()
        shell.wait()
        os.close(parent)
    return [] if b"42 judged" in seen else [f"{seen[-300:]!r}"]


def read_until(descriptor: int, pattern: bytes) -> bytes:
    text, until = b"", time.monotonic() + BOUND
    while not re.search(pattern, text):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            raise TimeoutError(f"no {pattern!r}: {text[-300:]!r}")
        try:
            text += os.read(descriptor, 4096)
        except OSError as error:
            raise TimeoutError(f"it ended: {text[-300:]!r}") from error
    return text


@contextlib.contextmanager
def forwarded(world: World, node: str, remote: int) -> Iterator[int]:
    """A local port that leads to one of the node's."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [PROGRAM, "port-forward", "--target", node, "--remote-port", str(remote), "--local-port", str(port)]
    client = subprocess.Popen(command, env=environment(world), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + BOUND
        while time.monotonic() < until and client.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port
    finally:
        client.send_signal(signal.SIGINT)
        client.wait(BOUND)


def page(port: int) -> list[str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=BOUND) as answer:
            return [] if answer.status == 200 and answer.read() else [f"status {answer.status}"]
    except OSError as error:
        return [f"{error!r}"]


def carried(world: World, port: int, size: int) -> list[str]:
    """Sends to a port that discards; the simulator's record says what came out at the other end."""
    sent = hashlib.shake_256(b"judged").digest(size)
    expected, until = hashlib.sha256(sent).hexdigest(), time.monotonic() + BOUND
    with socket.create_connection(("127.0.0.1", port), BOUND) as connection:
        connection.sendall(sent)
    seen: list[Any] = []
    while time.monotonic() < until:
        ports = [port for session in world.ask("sessions") for port in session["connections"] if port["port"] == 10010]
        seen = [port["sha256_in"] for port in ports if port["bytes_in"] == size]
        if expected in seen:
            return []
        time.sleep(0.2)
    return [f"digests {seen}, should be {expected}"]


def side_by_side(port: int) -> list[str]:
    try:
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(socket.create_connection(("127.0.0.1", port), BOUND)) for _ in range(4)]
            for connection in connections:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answers = [connection.recv(1000) for connection in reversed(connections)]
    except OSError as error:
        return [f"{error!r}"]
    return [f"{answer!r}" for answer in answers if b" 200 " not in answer]
