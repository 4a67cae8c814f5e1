#!/usr/bin/env python3
"""connect.sh, and the broker that it runs against is killed (-9) and started again under the distributed workers.
Usage: connect_kill9.py RINGLOG_BINARY JARS_DIR DIRECTORY
"""
import os, pathlib, signal, subprocess, sys, tempfile

here = pathlib.Path(__file__).resolve().parent
sys.path.append(str(here.parent / "faults"))
from ringlog import Ringlog

directory = tempfile.mkdtemp(prefix="connect-", dir=sys.argv[3])
broker = Ringlog(os.path.abspath(sys.argv[1]), f"{directory}/data", f"{directory}/broker.log")
kills = 0


def kill_and_start(*_):
    global kills
    kills += 1
    broker.kill()
    print(f"broker killed, served again after {broker.start():.2f} s", flush=True)


signal.signal(signal.SIGUSR1, kill_and_start)
broker.start()
code = subprocess.run([here / "connect.sh", broker.address, sys.argv[2], f"kill -USR1 {os.getpid()}"]).returncode
if code:
    sys.exit(code)
if kills != 1 or broker.stop() != 0:
    sys.exit(f"FAILED: {kills} kills, or the broker did not stop")
