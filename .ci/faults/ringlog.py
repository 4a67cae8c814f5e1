"""Starts, kills and stops the broker for the fault scripts."""
import atexit, os, random, signal, socket, struct, subprocess, sys, time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def node_properties(port, controller_port, data):
    """A server.properties that Kafka and Ringlog both take: a node that is broker and controller, alone."""
    return f"""process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
log.dirs={data}
offsets.topic.replication.factor=1
"""


def answers_metadata(port):
    """Whether a Metadata request (version 0, all topics) is answered."""
    request = struct.pack(">hhih4si", 3, 0, 1, 4, b"wait", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(10)
            connection.sendall(struct.pack(">i", len(request)) + request)
            return len(connection.recv(4)) == 4
    except OSError:
        return False


def seeded(rest):
    """The seed that is given, or a new one."""
    seed = int(rest.pop(0)) if rest and rest[0].isdigit() else random.randrange(1 << 32)
    random.seed(seed)
    print(f"seed {seed}")


class Ringlog:
    """A broker on one data directory; every start uses the same port, so that clients find it again."""

    def __init__(self, binary, data, log_path, **overrides):
        self.data, self.port, self.process = data, free_port(), None
        self.log = open(log_path, "ab")
        settings = {"listeners": f"PLAINTEXT://127.0.0.1:{self.port}", "log.dirs": data, **overrides}
        self.arguments = [binary, "--format"]
        for key, value in settings.items():
            self.arguments += ["--override", f"{key}={value}"]
        atexit.register(self.kill)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def spawn(self):
        """Starts it and does not wait."""
        self.process = subprocess.Popen(self.arguments, stdout=self.log, stderr=self.log)

    def start(self, seconds=60):
        """Returns the seconds until it answered a Metadata request."""
        began = time.monotonic()
        self.spawn()
        while time.monotonic() < began + seconds:
            if self.process.poll() is not None:
                sys.exit(f"FAILED: the broker ended with {self.process.returncode} at its start, see {self.log.name}")
            if answers_metadata(self.port):
                return time.monotonic() - began
            time.sleep(0.002)
        sys.exit("FAILED: the broker does not answer")

    def cpu_seconds(self):
        """Of all its threads."""
        tasks = f"/proc/{self.process.pid}/task"
        return sum(int(open(f"{tasks}/{thread}/schedstat").read().split()[0]) for thread in os.listdir(tasks)) / 1e9

    def hold(self):
        """Returns when none of its threads runs any more."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def kill(self):
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self, seconds=60):
        """A clean stop; returns the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)
