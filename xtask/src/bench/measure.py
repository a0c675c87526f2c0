"""Runs one command to its end and says what it took.

    measure.py pipe|pty OUT ERR COMMAND...

pipe: stdout is read through a pipe as fast as it comes, and kept in OUT ("-" counts its bytes only).
pty: stdout, stderr and the terminal are a pseudo-terminal of 120 columns; what is drawn is counted.
Prints a line of JSON: seconds, when it ended (seconds since 1970), peak memory, exit code, bytes of stdout.
"""

import fcntl
import json
import os
import pty
import struct
import sys
import termios
import time

mode, out, err, command = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
begun = time.monotonic()
if mode == "pty":
    pid, source = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.environ["LANG"] = "C.UTF-8"
        # A terminal without a size is not drawn on.
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        os.execv(command[0], command)
else:
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(sink, 1)
        os.dup2(os.open(err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os.closerange(3, 64)
        os.execv(command[0], command)
    os.close(sink)

keep = None if out == "-" else open(out, "wb")
count = 0
while True:
    try:
        data = os.read(source, 1 << 20)
    except OSError:  # the other side of a pseudo-terminal is gone
        data = b""
    if not data:
        break
    count += len(data)
    if keep:
        keep.write(data)
_, status, usage = os.wait4(pid, 0)
print(json.dumps({
    "seconds": time.monotonic() - begun,
    "ended": time.time(),
    "peak_kib": usage.ru_maxrss,
    "cpu_seconds": usage.ru_utime + usage.ru_stime,
    "exit": os.waitstatus_to_exitcode(status),
    "stdout_bytes": count,
}))
