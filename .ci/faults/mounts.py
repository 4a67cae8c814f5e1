"""File systems of their own for the fault scripts: images on loop devices."""
import atexit, os, shutil, subprocess, time

MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make(kind, image, size_bytes=None):
    """Makes a file system on an image, which is created when a size is given, or on a device."""
    if size_bytes:
        with open(image, "wb") as file:
            file.truncate(size_bytes)
    run(*MAKE[kind], image)


class Mount:
    """A mounted image or device; unmounted when the script ends."""

    def __init__(self, source, directory, options=("-o", "loop")):
        self.source, self.directory, self.options, self.mounted = source, directory, options, False
        os.makedirs(directory, exist_ok=True)
        atexit.register(self.unmount, lazily=True)

    def mount(self):
        run("mount", *self.options, self.source, self.directory)
        self.mounted = True

    def try_to_mount(self):
        """Whether the file system itself takes the image."""
        try:
            self.mount()
        except subprocess.CalledProcessError as error:
            print(error.stderr.strip(), flush=True)
        return self.mounted

    def unmount(self, lazily=False):
        if not self.mounted:
            return
        deadline = time.monotonic() + 20
        while subprocess.run(["umount", self.directory], capture_output=True).returncode:
            # The kernel closes the ring of a killed broker, and with it its files, a little after the process is gone.
            if time.monotonic() > deadline:
                if not lazily:
                    raise SystemExit(f"FAILED: {self.directory} stays busy")
                run("umount", "-l", self.directory)
                break
            time.sleep(0.02)
        self.mounted = False

    def cut_power(self, broker):
        """A power cut as the file system sees it: nothing more reaches the device, what was not synced is gone.

        The broker is held before it, since it could ack what no lost power lets it: while XFS goes down, Linux 6.18 answers
        an O_DSYNC write with success of which the extent is gone (seen with a program of one `pwrite`, in 12 of 60 cuts).
        """
        broker.hold()
        run("xfs_io", "-x", "-c", "shutdown", self.directory)
        broker.kill()
        self.unmount()
        self.mount()


def unavailable(kind, directory):
    """Why such a file system cannot be mounted here, or None."""
    image = os.path.join(directory, "try.img")
    try:
        make(kind, image, 400 << 20)
        mount = Mount(image, os.path.join(directory, "try"))
        mount.mount()
        mount.unmount()
        return None
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{error} {getattr(error, 'stderr', '') or ''}".strip()
    finally:
        if os.path.exists(image):
            os.remove(image)


def on_each(kinds, directory, run):
    """Calls `run` with each of these kinds of file system, both when none is named; ends with 77 if one cannot be
    mounted here."""
    os.makedirs(directory, exist_ok=True)
    not_run = []
    for kind in kinds or MAKE:
        if reason := unavailable(kind, directory):
            print(f"NOT RUN on {kind}: {reason}")
            not_run.append(kind)
        else:
            run(kind)
    if not_run:
        raise SystemExit(77)


class NbdDevice:
    """What an nbdkit command serves, as a loop device (nbdkit, nbdfuse, loop).

    Through the page cache between the two a write always succeeds, and when the cache cannot be written the kernel tells
    it to one sync only, whoever's it is: all others lose what they wrote without a word. No file system or broker can
    keep a promise on that. With `direct`, mounted without another loop, each write is told its own error, as by a disk.
    """

    def __init__(self, directory, size_bytes, *command, direct=False):
        self.socket, self.disk = os.path.join(directory, "nbd.sock"), os.path.join(directory, "nbd.disk")
        for path in (self.socket, self.disk):
            if os.path.exists(path):
                os.remove(path)
        self.size_bytes, self.direct = size_bytes, direct
        self.server = subprocess.Popen(["nbdkit", "-f", "-U", self.socket, *command])
        self.wait_until(lambda: os.path.exists(self.socket), "nbdkit does not serve")
        open(self.disk, "w").close()
        self.attach()
        atexit.register(self.close)

    def attach(self):
        self.fuse = subprocess.Popen(["nbdfuse", self.disk, "--unix", self.socket])
        self.wait_until(lambda: os.path.getsize(self.disk) == self.size_bytes, "nbdfuse does not mount")
        self.loop = run("losetup", f"--direct-io={'on' if self.direct else 'off'}", "--find", "--show", self.disk).strip()

    def detach(self):
        """Also forgets what the kernel has cached of it: after a failed write that is not what the device holds."""
        subprocess.run(["losetup", "-d", self.loop], capture_output=True)
        self.loop = None
        self.wait_until(lambda: subprocess.run(["umount", self.disk], capture_output=True).returncode == 0,
                        "nbdfuse stays busy")
        self.fuse.wait()

    @staticmethod
    def wait_until(condition, otherwise):
        deadline = time.monotonic() + 20
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"FAILED: {otherwise}")
            time.sleep(0.02)

    def close(self):
        if not self.loop:
            return
        self.detach()
        self.server.terminate()
        self.server.wait()


def no_nbd():
    """Why an NbdDevice cannot be made here, or None."""
    for program in ("nbdkit", "nbdfuse", "losetup"):
        if not shutil.which(program):
            return f"no {program}"
    return None if os.path.exists("/dev/fuse") else "no /dev/fuse"
