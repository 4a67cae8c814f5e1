#!/usr/bin/env python3
"""Members of a group, as processes, join, leave, crash (SIGKILL) and come back while records flow, up to eight at once. Every
record arrives, a partition has one owner in a generation, no committed offset goes back. Who leaves is out of the group at
once, which does not wait for its session.

A member is any program that gets address, topic and group, reads with auto.offset.reset=earliest, commits what it has read,
and prints a line of JSON for each thing that happens to it: {"assigned": [partition...]}, {"revoked": [partition...]},
{"got": [partition, offset, value]}, {"committed": [[partition, offset]...]}. Its client id is member-PID. At SIGTERM it leaves
the group and ends.
Usage: groups_members.py HOST:PORT NAME COMMAND...   Needs: confluent-kafka
"""
import collections, json, os, select, signal, subprocess, sys, threading, time, uuid

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS, RECORDS, MEMBERS_MAX = 8, 6000, 8
# A session is 6 s long at least, and the last heartbeat of a member that ends is 3 s old at most.
LEAVE_SECONDS = 2


class Members:
    """Starts and kills members, and follows what they say."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.lock = threading.RLock()
        self.running, self.owners, self.got, self.committed = {}, {}, collections.Counter(), {}
        self.unread, self.unfinished = {}, {}
        self.problems, self.rebalances, self.started = [], 0, 0

    def start(self):
        process = subprocess.Popen(self.arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        os.set_blocking(process.stdout.fileno(), False)
        with self.lock:
            self.started += 1
            self.running[process.pid] = process
            self.unread[process.pid], self.unfinished[process.pid] = collections.deque(), b""
        threading.Thread(target=self.follow, args=(process,), daemon=True).start()
        return process.pid

    def stop(self, pid, how):
        process = self.running.pop(pid)
        process.send_signal(how)
        process.wait(30)
        with self.lock:
            # Its last lines are read before its partitions count as free.
            self.hear(process)
            self.owners = {p: owner for p, owner in self.owners.items() if owner != pid}

    def reads(self, pid, seconds=30):
        """Waits until a member has partitions: whether it has come to that."""
        deadline = time.time() + seconds
        while time.time() < deadline:
            with self.lock:
                if pid in self.owners.values():
                    return True
            time.sleep(0.1)
        return False

    def follow(self, process):
        while select.select([process.stdout], [], [])[0]:
            with self.lock:
                if not self.hear(process):
                    return

    def hear(self, process):
        """Notes all that a member has said until now; whether it may say more."""
        pid, may_say_more = process.pid, True
        try:
            while may_say_more:
                said = os.read(process.stdout.fileno(), 1 << 16)
                may_say_more = said != b""
                *lines, self.unfinished[pid] = (self.unfinished[pid] + said).split(b"\n")
                self.unread[pid].extend(lines)
        except BlockingIOError:
            pass
        while self.unread[pid]:
            self.note(pid, json.loads(self.unread[pid].popleft()))
        return may_say_more

    def note(self, pid, event):
        for partition in event.get("revoked", []):
            if self.owners.get(partition) == pid:
                del self.owners[partition]
        if "assigned" in event:
            self.rebalances += 1
            for partition in event["assigned"]:
                owner = self.owners.get(partition)
                if owner != pid and owner in self.running:
                    # It said that it gives the partition up before the broker could give it to another.
                    self.hear(self.running[owner])
                    owner = self.owners.get(partition)
                if owner != pid and owner in self.running:
                    self.problems.append(f"partition {partition} given to {pid} while {owner} holds it")
                self.owners[partition] = pid
        if "got" in event:
            self.got[event["got"][2]] += 1
        for partition, offset in event.get("committed", []):
            self.committed[partition] = max(offset, self.committed.get(partition, 0))


def run(client, command, bootstrap):
    """`command` is followed by address, topic and group."""
    topic, group = f"groups-{client}-{uuid.uuid4().hex[:6]}", f"group-{client}-{uuid.uuid4().hex[:6]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
    members = Members([*command, bootstrap, topic, group])
    pids = [members.start() for _ in range(MEMBERS_MAX - 1)]
    checker = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    seen, behind = {}, []

    def check_committed():
        with members.lock:
            acked = dict(members.committed)
        for found in checker.committed([TopicPartition(topic, p) for p in range(PARTITIONS)], 20):
            least = max(acked.get(found.partition, 0), seen.get(found.partition, 0))
            if max(found.offset, 0) < least:
                behind.append((found.partition, found.offset, least))
            seen[found.partition] = max(found.offset, 0)

    def is_in_group(pid):
        found = admin.describe_consumer_groups([group])[group].result(30).members
        return any(member.client_id == f"member-{pid}" for member in found)

    def has_left(pid):
        """Whether a member that has ended is out of the group before its session can be over."""
        deadline = time.time() + LEAVE_SECONDS
        while is_in_group(pid) and time.time() < deadline:
            time.sleep(0.1)
        return not is_in_group(pid)

    sent, ended_reading, left, stayed = 0, collections.Counter(), [], []
    for round_number in range(12):
        what = ["leave", "join", "kill", "join"][round_number % 4] if round_number else "join"
        # Whoever ends has come so far as to read, and has records to read now.
        if what != "join":
            ended_reading[what] += members.reads(pids[0])
        for _ in range(RECORDS // 12):
            producer.produce(topic, str(sent).encode(), partition=sent % PARTITIONS)
            sent += 1
        producer.flush(30)
        if what == "join":
            pids.append(members.start())
        else:
            pid = pids.pop(0)
            was_in_group = is_in_group(pid)
            members.stop(pid, signal.SIGTERM if what == "leave" else signal.SIGKILL)
            if what == "leave" and was_in_group:
                (left if has_left(pid) else stayed).append(pid)
        time.sleep(1.5)
        check_committed()
    deadline = time.time() + 90
    while len(members.got) < sent and time.time() < deadline:
        time.sleep(0.5)
    check_committed()
    for pid in pids:
        members.stop(pid, signal.SIGKILL)
    again = sum(members.got.values()) - len(members.got)
    print(f"{client}: {len(members.got)} of {sent} records, {again} of them again after a crash, "
          f"{members.started} members, of which {ended_reading['leave']} ended and {ended_reading['kill']} were killed while "
          f"they read, {len(left)} left the group, {members.rebalances} assignments, stayed {stayed}, "
          f"problems {members.problems[:3]}, behind {behind[:3]}")
    if len(members.got) < sent or members.problems or behind or stayed or not left or not ended_reading["kill"]:
        sys.exit(f"FAILED {client}")
    print(f"ok groups {client}")


if __name__ == "__main__":
    run(sys.argv[2], sys.argv[3:], sys.argv[1])
