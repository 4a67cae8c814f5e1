"""Apache Kafka's command line tools in one JVM, one after the other: each start of one costs seconds."""
import pathlib, subprocess, sys


class Tools:
    """The JVM; `options` are for it."""

    def __init__(self, jars, *options):
        source = pathlib.Path(__file__).with_name("Tools.java")
        command = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", *options, "-cp", f"{jars}/*", str(source)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
                                        stderr=subprocess.DEVNULL)

    def run(self, main, arguments, text=""):
        """Runs a tool, which reads `text`: what it printed, and its exit code."""
        self.process.stdin.write("\t".join([main, text.replace("\n", "\\n").replace("\t", "\\t"), *arguments]) + "\n")
        self.process.stdin.flush()
        printed = []
        for line in self.process.stdout:
            if line.startswith("\x04 exit "):
                return "".join(printed)[:-1], int(line.split()[2])
            printed.append(line)
        sys.exit(f"FAILED: the JVM ended in {main} {arguments}")

    def end(self):
        self.process.stdin.close()
        self.process.wait(60)
