#!/usr/bin/env python3
"""Power cuts under offset commits and rebalances on loop-mounted ext4 and XFS, class sync: see power_cut.py.

Checks after each cut that no acked commit is behind, that a group of each protocol which was told to be stable has the
same members with the same partitions, and at the end that the members of another have read everything.
Usage: groups_power_cut.py RINGLOG_BINARY DIRECTORY CYCLES [SEED] [ext4|xfs ...]
Needs: root, loop devices, xfsprogs, e2fsprogs; confluent-kafka
"""
import os, random, sys, threading, time

from confluent_kafka import Consumer

import mounts
from group_load import PARTITIONS, TOPIC, GroupLoad
from load import create_topics
from ringlog import Ringlog, seeded

# Fast enough that each cut meets a group that has just changed.
TIMES = {"group.initial.rebalance.delay.ms": 0, "group.consumer.min.heartbeat.interval.ms": 100,
         "group.consumer.heartbeat.interval.ms": 100, "group.consumer.assignment.interval.ms": 0}
PROTOCOLS = {"classic": {"session.timeout.ms": 45000, "heartbeat.interval.ms": 100}, "consumer": {}}


class Witness:
    """A group whose second member comes and goes, and what it was told to be."""

    def __init__(self, load, protocol):
        self.load, self.group, self.protocol, self.members = load, f"witness-{protocol}", protocol, []
        self.add()
        self.seen = self.await_stable()

    def add(self):
        stopping = threading.Event()
        thread = threading.Thread(target=self.run, args=(stopping,), daemon=True)
        thread.start()
        self.members.append((stopping, thread))

    def run(self, stopping):
        consumer = Consumer({**self.load.settings, "group.id": self.group, "group.protocol": self.protocol,
                             **PROTOCOLS[self.protocol]})
        consumer.subscribe([TOPIC])
        while not stopping.is_set():
            consumer.poll(0.05)
        consumer.close()

    def change(self):
        """The second member comes or goes; returns when the broker has told that all is settled."""
        if len(self.members) == 1:
            self.add()
        else:
            stopping, thread = self.members.pop()
            stopping.set()
            thread.join()
        self.seen = self.await_stable()

    def await_stable(self, seconds=60):
        deadline = time.time() + seconds
        while True:
            state, members = self.load.describe(self.group)
            given = sum(len(partitions) for partitions in members.values())
            if state == "STABLE" and len(members) == len(self.members) and given == PARTITIONS:
                return members
            if time.time() > deadline:
                sys.exit(f"FAILED: {self.group} does not settle: {state} {members}")
            time.sleep(0.02)

    def check(self):
        state, members = self.load.describe(self.group)
        if members != self.seen:
            sys.exit(f"FAILED: {self.group} is {state} with {members}, and was told to be {self.seen}")


def cut_and_start(broker, mount):
    """Returns how many seconds the broker took to listen again."""
    mount.cut_power(broker)
    return broker.start()


def run(kind, binary, directory, cycles):
    image = os.path.join(directory, f"{kind}.img")
    mounts.make(kind, image, 2 << 30)
    mount = mounts.Mount(image, os.path.join(directory, kind))
    mount.mount()
    broker = Ringlog(binary, os.path.join(mount.directory, "data"), os.path.join(directory, f"{kind}.log"), **TIMES)
    broker.start()
    create_topics(broker.address, {TOPIC: {"ringlog.durability": "sync"}}, PARTITIONS)
    load = GroupLoad(broker.address)
    load.start()
    witnesses = [Witness(load, protocol) for protocol in PROTOCOLS]
    starts = []
    for cycle in range(cycles):
        time.sleep(random.uniform(0.05, 0.8))
        for witness in witnesses:
            witness.change()
        starts.append(cut_and_start(broker, mount))
        for witness in witnesses:
            witness.check()
        load.check()
        load.produce()
        if cycle % 10 == 9:
            print(f"{kind}: cut {cycle + 1}: {load.commits} commits acked, {load.reads} records read by members, "
                  f"restart median {sorted(starts)[len(starts) // 2] * 1000:.0f} ms", flush=True)
    print(f"{kind}: the members were at the end {load.await_end():.1f} s after the last restart")
    load.finish()
    if code := broker.stop():
        sys.exit(f"FAILED: exit code {code} of the clean stop")
    print(f"{kind}: ok {cycles} power cuts: {load.commits} commits acked, {load.reads} records read by members, no commit "
          f"and no group behind", flush=True)
    mount.unmount()
    os.remove(image)


binary, directory, cycles, *rest = sys.argv[1:]
seeded(rest)
mounts.on_each(rest, directory, lambda kind: run(kind, binary, directory, int(cycles)))
