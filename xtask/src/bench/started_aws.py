"""The aws CLI with its start paid for: one process has loaded it, and forks for every call that comes in.

A call is a line for each argument and an empty one; the answer is a line with the exit code, and after it what the CLI wrote to its
standard output. The first line that this process prints is the port that it listens on; it ends when its standard input does.
"""

import os
import signal
import socket
import sys
import threading

from awscli.clidriver import create_clidriver

driver = create_clidriver()
# Read once instead of in each child: the model of the service, and where its endpoints are.
driver.session.create_client("ssm", region_name=os.environ["AWS_REGION"])
# The system reaps the children.
signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def answer(connection):
    with connection.makefile("r", encoding="utf-8") as lines:
        arguments = [line.rstrip("\n") for line in iter(lines.readline, "\n")]
    output = os.memfd_create("output")
    os.dup2(output, sys.stdout.fileno())
    code = driver.main(arguments)
    sys.stdout.flush()
    connection.sendall(f"{code}\n".encode())
    os.lseek(output, 0, os.SEEK_SET)
    connection.sendfile(os.fdopen(output, "rb"))


def end_with_the_caller():
    sys.stdin.read()
    os._exit(0)


listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
threading.Thread(target=end_with_the_caller, daemon=True).start()
while True:
    connection, _ = listener.accept()
    if os.fork() == 0:
        try:
            answer(connection)
        finally:
            os._exit(0)
    connection.close()
