#!/usr/bin/env python3
"""Starts the broker under a seccomp filter that refuses io_uring, as the default one of containers does.
`ringlog.io=io_uring`: it ends with 1 and says what refuses it and what to do. By default: one line of warning, then it
serves kcat on epoll, costs nothing while idle and stops cleanly. Usage: no_io_uring.py RINGLOG_BINARY DIRECTORY
"""
import ctypes, os, struct, subprocess, sys, tempfile, time

from ringlog import Ringlog

binary, directory = os.path.abspath(sys.argv[1]), tempfile.mkdtemp(dir=sys.argv[2])
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
IO_URING_SETUP, EPERM, ALLOW, ERRNO = 425, 1, 0x7FFF0000, 0x00050000
IDLE_SECONDS = 5


def refuse_io_uring():
    """Load the number of the system call; io_uring_setup gets EPERM, the rest goes on."""
    code = b"".join(struct.pack("HBBI", *line) for line in [
        (0x20, 0, 0, 0), (0x15, 0, 1, IO_URING_SETUP), (0x06, 0, 0, ERRNO | EPERM), (0x06, 0, 0, ALLOW)])
    buffer = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


def idle_cost(pid):
    """Processor seconds and context switches of all threads."""
    switches = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        status = open(f"/proc/{pid}/task/{thread}/status").read()
        switches += sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)
    ticks = open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), switches


# This process and all that it starts from here on.
refuse_io_uring()
insisting = subprocess.run(
    [binary, "--override", "listeners=PLAINTEXT://127.0.0.1:0", "--override", "ringlog.io=io_uring"],
    cwd=directory, text=True, capture_output=True, timeout=30)
print(insisting.stderr)
check(insisting.returncode == 1 and "io_uring" in insisting.stderr and "seccomp" in insisting.stderr,
      "ringlog.io=io_uring does not start, and the cause is named")

doctor = subprocess.run([binary, "doctor", "--override", "listeners=PLAINTEXT://127.0.0.1:0"],
                        cwd=directory, text=True, capture_output=True, timeout=30)
check(doctor.returncode == 0 and "epoll" in doctor.stdout, "doctor warns")

for durability in ["sync", "page-cache"]:
    log_path = f"{directory}/{durability}.log"
    broker = Ringlog(binary, f"{directory}/{durability}", log_path, **{"ringlog.durability": durability})
    broker.start()
    sent = "".join(f"key-{number}:value-{number}\n" for number in range(100_000))
    kcat = ["kcat", "-b", broker.address, "-t", "there", "-K:"]
    subprocess.run([*kcat, "-P"], input=sent, text=True, check=True, timeout=120)
    back = subprocess.run([*kcat, "-C", "-q", "-e", "-o", "beginning"], capture_output=True, text=True, check=True,
                          timeout=120).stdout
    check(sorted(back.splitlines()) == sorted(sent.splitlines()), f"{durability}: what was produced is fetched")
    time.sleep(2)
    (before, woken_before) = idle_cost(broker.process.pid)
    time.sleep(IDLE_SECONDS)
    (after, woken) = idle_cost(broker.process.pid)
    check(after - before < 0.02, f"{durability}: {after - before} s of CPU and {woken - woken_before} "
                                 f"context switches in {IDLE_SECONDS} idle seconds")
    check(broker.stop() == 0, f"{durability}: stops cleanly")
    lines = open(log_path).read().splitlines()
    warnings = [line for line in lines if "epoll" in line and "seccomp" in line]
    check(len(warnings) == 1, f"{durability}: one line of warning: {warnings}")
