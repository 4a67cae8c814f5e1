#!/usr/bin/env python3
"""The systemd unit and the broker under systemd's protocol: systemd-analyze has nothing to say about the unit, the broker tells
READY=1 when it serves and STOPPING=1 at SIGTERM, and nothing with a refused configuration, for which it ends with the status that
the unit does not start again for. Usage: systemd.py RINGLOG_BINARY DIRECTORY
"""
import os, pathlib, shutil, signal, socket, subprocess, sys, tempfile

repository = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.append(str(repository / ".ci/faults"))
from ringlog import answers_metadata, free_port

binary, directory = os.path.abspath(sys.argv[1]), pathlib.Path(tempfile.mkdtemp(prefix="systemd-", dir=sys.argv[2])).resolve()
unit = (repository / "packaging/systemd/ringlog.service").read_text()


def expect(is_so, what):
    if not is_so:
        sys.exit(f"FAILED: {what}, see {directory}")


def start(*overrides):
    """The broker as systemd starts it, its messages to be received, and its port."""
    told, port = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), free_port()
    path = directory / f"notify-{port}"
    told.bind(str(path))
    told.settimeout(60)
    settings = [f"listeners=PLAINTEXT://127.0.0.1:{port}", f"log.dirs={directory / 'data'}", *overrides]
    arguments = [word for setting in settings for word in ("--override", setting)]
    process = subprocess.Popen([binary, "--format", *arguments], env={**os.environ, "NOTIFY_SOCKET": str(path)},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return process, told, port


def rest(told):
    """What has been told and not received."""
    told.setblocking(False)
    found = []
    try:
        while True:
            found.append(told.recv(4096))
    except BlockingIOError:
        return found


if not shutil.which("systemd-analyze"):
    print("systemd-analyze is not there")
    sys.exit(77)
# It looks whether the program is there.
program = "/usr/bin/ringlog"
expect(f"ExecStart={program} " in unit, f"the unit does not start {program}")
(directory / "ringlog.service").write_text(unit.replace(program, binary))
verified = subprocess.run(["systemd-analyze", "verify", "--man=no", directory / "ringlog.service"], text=True, capture_output=True)
# What it does not know it ignores, and ends with 0.
expect(verified.returncode == 0 and not verified.stdout + verified.stderr, f"systemd-analyze says {verified.stderr or verified.stdout}")
print("ok the unit, as systemd-analyze sees it")

process, told, port = start()
try:
    first = told.recv(4096)
    expect(first == b"READY=1\n", f"the first message is {first}")
    expect(answers_metadata(port), "READY=1 and no answer")
    process.send_signal(signal.SIGTERM)
    second = told.recv(4096)
    expect(second == b"STOPPING=1\n", f"the message at SIGTERM is {second}")
    expect(process.wait(60) == 0, f"it stopped with {process.returncode}")
    expect(not (more := rest(told)), f"it told {more} besides")
finally:
    process.kill()
print("ok READY=1 when it serves, STOPPING=1 at SIGTERM")

process, told, _ = start("node.id=none")
expect(f"RestartPreventExitStatus={process.wait(60)}\n" in unit, f"a refused configuration ends with {process.returncode}")
expect(not (more := rest(told)), f"with a refused configuration it told {more}")
print("ok a refused configuration: nothing told, and no start again")
shutil.rmtree(directory)
