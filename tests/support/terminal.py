"""Runs a command on a pseudo-terminal and plays a script of steps against it.

argv[1] is JSON: {"cmd": [...], "env": {...}, "cwd": "...", "cols": 80, "rows": 24, "steps": [...]}.
Steps: {"expect": text} waits until text has appeared (behind what earlier expects found),
{"send": text}, {"signal": number}, {"resize": columns}, {"stopped": true} waits until it has been
stopped; {"touch": path} and {"until": path} (which waits for a file) keep several sessions in step.
Prints JSON: {"output", "code", "signal", "restored"}; restored tells whether the terminal's
settings are what they were before the command ran.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

spec = json.loads(sys.argv[1])
LIMIT = time.monotonic() + spec.get("limit", 30)
master, slave = pty.openpty()


def resize(columns):
    size = struct.pack("HHHH", spec.get("rows", 24), columns, 0, 0)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, size)


resize(spec.get("cols", 80))
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.close(master)
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(slave, fd)
    for number in range(1, 32):
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
    if "cwd" in spec:
        os.chdir(spec["cwd"])
    os.execvpe(spec["cmd"][0], spec["cmd"], {**os.environ, **spec.get("env", {})})

output = b""
found = 0
ended = None


def read(seconds):
    """Collects output; returns whether there was any."""
    global output
    ready, _, _ = select.select([master], [], [], seconds)
    if not ready:
        return False
    try:
        data = os.read(master, 65536)
    except OSError:
        return False
    output += data
    return len(data) > 0


def poll():
    global ended
    if ended is None:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done != 0:
            ended = status
    return ended is not None


def fail(message):
    if not poll():
        os.kill(pid, signal.SIGKILL)
    print(json.dumps({"failed": message, "output": output.decode("utf-8", "replace")}))
    sys.exit(1)


for step in spec["steps"]:
    if "expect" in step:
        want = step["expect"].encode()
        while (at := output.find(want, found)) < 0:
            if time.monotonic() > LIMIT:
                fail("timed out waiting for " + repr(step["expect"]))
            if not read(0.05) and poll() and not read(0):
                if output.find(want, found) < 0:
                    fail("ended before " + repr(step["expect"]))
        found = at + len(want)
    elif "send" in step:
        os.write(master, step["send"].encode())
    elif "signal" in step:
        os.kill(pid, step["signal"])
    elif "resize" in step:
        resize(step["resize"])
    elif "touch" in step:
        open(step["touch"], "w").close()
    elif "until" in step:
        while not os.path.exists(step["until"]):
            if time.monotonic() > LIMIT:
                fail("timed out waiting for " + step["until"])
            read(0.02)
    elif "stopped" in step:
        while not os.WIFSTOPPED(os.waitpid(pid, os.WNOHANG | os.WUNTRACED)[1]):
            if time.monotonic() > LIMIT:
                fail("it was not stopped")
            read(0.02)
while not poll():
    if time.monotonic() > LIMIT:
        fail("it did not end")
    read(0.05)
while read(0):
    pass
print(json.dumps({
    "output": output.decode("utf-8", "replace"),
    "code": os.WEXITSTATUS(ended) if os.WIFEXITED(ended) else None,
    "signal": os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else None,
    "restored": termios.tcgetattr(slave) == before,
}))
