#!/usr/bin/env python3
"""kill -9 under offset commits and rebalances: after each restart no acked commit is behind, and the groups go on.

Usage: groups_kill9.py RINGLOG_BINARY DIRECTORY CYCLES [SEED]. Needs: confluent-kafka
"""
import os, random, sys, time

from group_load import PARTITIONS, GroupLoad
from ringlog import Ringlog, seeded

binary, directory, cycles, *rest = sys.argv[1:]
os.makedirs(directory, exist_ok=True)
seeded(rest)
broker = Ringlog(binary, os.path.join(directory, "data"), os.path.join(directory, "broker.log"),
                 **{"group.initial.rebalance.delay.ms": 0, "num.partitions": PARTITIONS})
broker.start()
load = GroupLoad(broker.address)
load.start()
for cycle in range(int(cycles)):
    time.sleep(random.uniform(0.3, 1.5))
    broker.kill()
    broker.start()
    load.produce()
    load.check()
    if cycle % 10 == 9:
        print(f"cycle {cycle + 1}: {load.commits} commits acked, {load.reads} records read by members", flush=True)
print(f"the members were at the end {load.await_end():.1f} s after the last restart")
load.finish()
if code := broker.stop():
    sys.exit(f"FAILED: exit code {code} of the clean stop")
broker.start()
load.check()
broker.stop()
print(f"ok {cycles} kills: {load.commits} commits acked, {load.reads} records read by members, no commit behind")
