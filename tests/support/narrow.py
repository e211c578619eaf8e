"""Runs a command whose output goes into a descriptor in non-blocking mode, and reads it slowly.

argv[1] is JSON: {"cmd": [...], "kind": "pipe" | "socket" | "tcp" | "terminal" | "file",
"stream": 1 | 2, "flags": "nonblocking" | "blocking" | "changing", "input": path, "output": path,
"trickle": true}. With "changing" the mode is changed all the time, as programs do that come and go
on the same pipe. With "trickle" the input comes through a pipe in non-blocking mode, bit by bit.
What was read goes to the file "output". Prints JSON: {"code", "other": text}.
"""

import json
import os
import pty
import random
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tty

spec = json.loads(sys.argv[1])
LIMIT = time.monotonic() + 60


def pair(kind):
    """A reading and a writing end."""
    if kind == "pipe":
        return os.pipe()
    if kind == "socket":
        return [end.detach() for end in socket.socketpair()]
    if kind == "tcp":
        server = socket.create_server(("127.0.0.1", 0))
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 5000)
        server.close()
        return ours.detach(), theirs.detach()
    if kind == "terminal":
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        return ours, theirs
    return None, os.open(spec["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


reading, writing = pair(spec["kind"])
os.set_blocking(writing, spec["flags"] == "blocking")
other = tempfile.TemporaryFile()

def trickle(source, into):
    """Writes a file into a pipe whose reader finds it empty again and again."""
    while piece := source.read(random.choice([1, 10, 300])):
        os.write(into, piece)
        time.sleep(0.001)
    os.close(into)


with open(spec.get("input", "/dev/null"), "rb") as source:
    stdin = source
    if spec.get("trickle"):
        stdin, into = os.pipe()
        os.set_blocking(stdin, False)
        threading.Thread(target=trickle, args=(open(spec["input"], "rb"), into)).start()
    streams = {1: ("stdout", "stderr"), 2: ("stderr", "stdout")}[spec.get("stream", 1)]
    process = subprocess.Popen(
        spec["cmd"], stdin=stdin, env={**os.environ, **spec.get("env", {})},
        **{streams[0]: writing, streams[1]: other},
    )

done = threading.Event()


def change():
    """Other programs come and go."""
    while not done.is_set():
        os.set_blocking(writing, random.random() < 0.5)
        time.sleep(random.random() * 0.0005)


changing = threading.Thread(target=change)
if spec["flags"] == "changing":
    changing.start()
elif reading is not None:
    os.close(writing)


def finished():
    return process.poll() is not None


with open(spec["output"], "ab") as output:
    while reading is not None and time.monotonic() < LIMIT:
        gone = finished()
        ready, _, _ = select.select([reading], [], [], 0.01)
        if not ready:
            if gone:
                break
            continue
        try:
            data = os.read(reading, random.choice([100, 4096, 10_000, 65536]))
        except OSError:
            break
        if not data:
            break
        output.write(data)
        if random.random() < 0.2:
            time.sleep(0.001)

try:
    process.wait(max(0.1, LIMIT - time.monotonic()))
except subprocess.TimeoutExpired:
    process.kill()
    process.wait()
done.set()
if changing.ident is not None:
    changing.join()
other.seek(0)
print(json.dumps({"code": process.returncode, "other": other.read().decode("utf-8", "replace")}))
