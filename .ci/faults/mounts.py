"""File systems of their own for the fault scripts: images on loop devices."""
import atexit, os, subprocess, time

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

    def __init__(self, source, directory):
        self.source, self.directory, self.mounted = source, directory, False
        os.makedirs(directory, exist_ok=True)
        atexit.register(self.unmount, lazily=True)

    def mount(self):
        run("mount", "-o", "loop", self.source, self.directory)
        self.mounted = True

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

    def shut_down(self):
        """A power cut as the file system sees it: nothing more reaches the device, what was not synced is gone."""
        run("xfs_io", "-x", "-c", "shutdown", self.directory)


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
