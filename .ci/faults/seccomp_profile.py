#!/usr/bin/env python3
"""Runs the broker and its commands under the system calls that packaging/container/seccomp.json allows; every other call
ends the process that makes it. Usage: seccomp_profile.py RINGLOG_BINARY DIRECTORY
"""
import ctypes, json, os, re, signal, struct, subprocess, sys, tempfile, urllib.request

binary, directory = os.path.abspath(sys.argv[1]), tempfile.mkdtemp(dir=sys.argv[2])
profile = json.load(open(os.path.join(os.path.dirname(__file__), "../../packaging/container/seccomp.json")))
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, KILL_PROCESS = 0x7FFF0000, 0x80000000

macros = subprocess.run(["cc", "-E", "-dM", "-x", "c", "-"], input="#include <sys/syscall.h>\n", text=True, check=True,
                        capture_output=True).stdout
# Headers of older kernels do not know the last one; its number is the same everywhere.
numbers = {"cachestat": 451} | {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", macros)}
# Those that this architecture does not have are there for another.
allowed = sorted({numbers[name] for group in profile["syscalls"] for name in group["names"] if name in numbers})


def allow_only_those():
    """Load the number of the system call; allow it if it is one of them, else end the process."""
    lines = [(0x20, 0, 0, 0)] + [line for number in allowed for line in [(0x15, 0, 1, number), (0x06, 0, 0, ALLOW)]]
    code = b"".join(struct.pack("HBBI", *line) for line in lines + [(0x06, 0, 0, KILL_PROCESS)])
    buffer = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0


def start():
    arguments = ["--override", "listeners=PLAINTEXT://127.0.0.1:0", "--override", "ringlog.http.listener=127.0.0.1:0"]
    process = subprocess.Popen([binary, *arguments], cwd=directory, text=True, stdout=subprocess.PIPE,
                               preexec_fn=allow_only_those)
    banner = process.stdout.readline()
    found = re.search(r"(http://\S+) \| PLAINTEXT://(\S+)", banner)
    assert found, f"no banner: {banner!r}, exit code {process.poll()}"
    return process, found.group(1), found.group(2)


def run(bootstrap, *arguments, text=""):
    done = subprocess.run([binary, *arguments, "-b", bootstrap], cwd=directory, text=True, input=text, capture_output=True,
                          timeout=60, preexec_fn=allow_only_those)
    assert done.returncode == 0, f"{arguments}: exit code {done.returncode}, {done.stderr}"
    return done.stdout


for last in [signal.SIGKILL, signal.SIGTERM]:
    process, http, bootstrap = start()
    if last == signal.SIGKILL:
        for durability in ["sync", "page-cache"]:
            run(bootstrap, "topic", "create", durability, "-c", f"ringlog.durability={durability}")
            run(bootstrap, "produce", durability, "-z", "lz4", text="x" * 100 + "\n" + "large" * 100_000 + "\n")
    for topic in ["sync", "page-cache"]:
        assert len(run(bootstrap, "consume", topic, "-e").splitlines()) == 2, topic
    assert "kafka_server_" in urllib.request.urlopen(http + "/metrics", timeout=10).read().decode()
    process.send_signal(last)
    assert process.wait(60) == (0 if last == signal.SIGTERM else -last), process.returncode
doctor = subprocess.run([binary, "doctor"], cwd=directory, text=True, capture_output=True, preexec_fn=allow_only_those)
assert "FAILURE" not in doctor.stdout.replace("FAILURE  listener", ""), doctor.stdout
print(f"the broker and its commands need no more than these {len(allowed)} system calls")
