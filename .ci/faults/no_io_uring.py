#!/usr/bin/env python3
"""Starts the broker under a seccomp filter that refuses io_uring, as the default one of containers does: it ends with 1
and says what refuses it and what to do. Usage: no_io_uring.py RINGLOG_BINARY DIRECTORY
"""
import ctypes, os, struct, subprocess, sys, tempfile

binary, directory = os.path.abspath(sys.argv[1]), tempfile.mkdtemp(dir=sys.argv[2])
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
IO_URING_SETUP, EPERM, ALLOW, ERRNO = 425, 1, 0x7FFF0000, 0x00050000


def refuse_io_uring():
    """Load the number of the system call; io_uring_setup gets EPERM, the rest goes on."""
    code = b"".join(struct.pack("HBBI", *line) for line in [
        (0x20, 0, 0, 0), (0x15, 0, 1, IO_URING_SETUP), (0x06, 0, 0, ERRNO | EPERM), (0x06, 0, 0, ALLOW)])
    buffer = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0


broker = subprocess.run([binary, "--override", "listeners=PLAINTEXT://127.0.0.1:0"], cwd=directory, text=True,
                        capture_output=True, timeout=30, preexec_fn=refuse_io_uring)
print(broker.stderr)
if broker.returncode != 1 or "io_uring" not in broker.stderr or "seccomp" not in broker.stderr:
    sys.exit(f"FAILED: exit code {broker.returncode}")
