"""Kafka or Ringlog on one directory, for the scripts of this folder."""
import atexit, signal, subprocess, time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient


def java(jars, main, *arguments, more=""):
    """The command that runs a class of Kafka's jars; `more` is for the class path."""
    return ["java", "-Xms256m", "-Xmx512m", "-Djava.awt.headless=true", "-cp", f"{jars}/*{more}", main, *arguments]


class Broker:
    """Kafka, if that is its name, or Ringlog, with options: it runs, and has answered within so many seconds. `fail` is told what went
    wrong, and ends the script."""

    def __init__(self, name, binary, jars, properties, bootstrap, log, fail, within=180, options=()):
        self.name, self.fail = name, fail
        command = java(jars, "kafka.Kafka", str(properties)) if name == "kafka" else [binary, str(properties), *options]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        atexit.register(self.process.kill)
        deadline = time.time() + within
        while time.time() < deadline:
            if self.process.poll() is not None:
                fail(f"{name} ended with {self.process.returncode} at its start")
            try:
                if AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=2).brokers:
                    return
            except KafkaException:
                time.sleep(0.1)
        self.process.kill()
        fail(f"{name} does not answer")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.fail(f"{self.name} does not stop")
        # A JVM that ends by SIGTERM says 143.
        if code not in (0, 143):
            self.fail(f"{self.name} stopped with {code}")
