#!/usr/bin/env python3
"""What an idle connection costs: 10,000 of them, each has asked for ApiVersions once. Prints KiB per connection, and fails
above 8.

Usage: connections.py RINGLOG_BINARY DIRECTORY [CONNECTIONS=10000]
"""
import os, resource, shutil, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "faults"))
from frames import Connection
from ringlog import Ringlog

API_VERSIONS = 18
KIB_EACH_MAX = 8
binary, directory = sys.argv[1:3]
count = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000
descriptors = min(20_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))


def resident_kib(broker):
    lines = dict(line.split(":", 1) for line in open(f"/proc/{broker.process.pid}/status"))
    return int(lines["VmRSS"].split()[0])


place = os.path.join(directory, "connections")
shutil.rmtree(place, ignore_errors=True)
os.makedirs(place)
broker = Ringlog(binary, os.path.join(place, "data"), os.path.join(place, "broker.log"))
broker.start()
# Memory that any number of connections needs is there before it is counted.
for connection in [Connection(broker.port) for _ in range(50)]:
    connection.ask(API_VERSIONS, 0, b"")
    connection.close()
time.sleep(1)
before, began = resident_kib(broker), time.monotonic()
held = []
for _ in range(count):
    held.append(Connection(broker.port))
    held[-1].ask(API_VERSIONS, 0, b"")
took = time.monotonic() - began
time.sleep(1)
after = resident_kib(broker)
print(f"{count} connections in {took:.1f} s: {before} KiB resident before, {after} KiB with them, "
      f"{(after - before) / count:.2f} KiB each")
if after - before > KIB_EACH_MAX * count:
    sys.exit(f"FAILED: more than {KIB_EACH_MAX} KiB each")
for connection in (held[0], held[-1]):
    connection.ask(API_VERSIONS, 0, b"")
for connection in held:
    connection.close()
broker.kill()
shutil.rmtree(place)
