#!/usr/bin/env python3
"""Each config with its effect: confluent-kafka (librdkafka) sets it, produces and reads back; where the effect is in files,
they say it. The parts lie in configs/ and run at once on one broker; what is stored outlives a restart.
Usage: configs.py RINGLOG_BINARY DIRECTORY JARS_DIR
Needs: confluent-kafka (PyPI); Java and Kafka's jars for the configs of all brokers
"""
import glob, os, shutil, sys
from concurrent.futures import ThreadPoolExecutor

here = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(here, "configs"), os.path.join(here, "tools"), os.path.join(here, "..", "faults"), os.path.join(here, "..", "scale")]
import brokers, compacted, flushed, segments, stored, taken
from jvm import Tools
from world import Failed, World

directory = os.path.abspath(sys.argv[2])
os.makedirs(directory, exist_ok=True)
world = World(os.path.abspath(sys.argv[1]), directory)


def together(*parts):
    """Each in a thread: they mostly wait."""
    with ThreadPoolExecutor(len(parts)) as pool:
        for running in [pool.submit(part, world) for part in parts]:
            running.result()


try:
    world.broker.start()
    together(stored.write, stored.write_special, segments.end, segments.delete, segments.remove, compacted.act,
             taken.timestamps, taken.replicas, taken.refused)
    world.broker.stop()
    stored.look(world)
    world.broker.start()
    stored.read(world)
    flushed.act(world)
    if shutil.which("java") and glob.glob(f"{sys.argv[3]}/kafka_*.jar"):
        tools = Tools(sys.argv[3])
        brokers.act(world, tools)
        tools.end()
    else:
        print("configs of all brokers NOT checked: Apache Kafka's jars or a JDK are not there")
    world.broker.stop()
except Failed as failed:
    sys.exit(f"FAILED: {failed}")
