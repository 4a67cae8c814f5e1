"""flush.ms of class page-cache: what was acked leaves the page cache's dirty pages, which cachestat(2) of Linux 6.5 counts."""
import ctypes, os, time

CACHESTAT = 451
LIBC = ctypes.CDLL(None, use_errno=True)


def dirty_pages(path):
    """None where the kernel does not say."""
    whole, found = (ctypes.c_uint64 * 2)(0, 0), (ctypes.c_uint64 * 5)()
    with open(path, "rb") as file:
        code = LIBC.syscall(CACHESTAT, file.fileno(), whole, found, 0)
    return found[1] + found[2] if code == 0 else None


def act(world):
    """Alone: syncs of others may write the pages of every file."""
    topics = ("flush-ms", "flush-never")
    for topic, configs in zip(topics, ({"flush_ms": 300}, {})):
        world.create(topic, ringlog_durability="page-cache", **configs)

    def dirty():
        return [dirty_pages(world.files(topic)[0]) for topic in topics]

    def is_synced_alone():
        """The kernel writes dirty pages by itself too, but seldom."""
        for topic in topics:
            world.produce(topic, [b"x" * 100])
        before = dirty()
        time.sleep(1)
        after = dirty()
        return before[1] > 0 and after[0] == 0 < after[1]

    world.produce("flush-ms", [b"x"])
    if dirty_pages(world.files("flush-ms")[0]) is None:
        print("flush.ms NOT checked: this kernel has no cachestat")
        return
    world.until(is_synced_alone, "with flush.ms what was acked is synced, without it stays in the page cache")
