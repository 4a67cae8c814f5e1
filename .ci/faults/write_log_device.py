"""An nbdkit plug-in: a device that keeps every write and every flush in a log, in the order they were answered.

Usage: nbdkit python write_log_device.py image=FILE log=FILE size=BYTES
Record of the log: kind (W write, Z write of zeros, F flush), position u64, length u32, and for W the bytes.
"""
import errno, os, struct

import nbdkit

API_VERSION = 2
HEADER = struct.Struct(">cQI")
settings, image, log = {}, None, None


def config(key, value):
    settings[key] = value


def config_complete():
    global image, log
    image = os.open(settings["image"], os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(image, int(settings["size"]))
    log = os.open(settings["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def thread_model():
    # What was answered before a flush began is what the flush covers.
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def open(readonly):
    return 1


def get_size(handle):
    return int(settings["size"])


def can_flush(handle):
    return True


def can_fua(handle):
    return nbdkit.FUA_EMULATE


def append(kind, position, length, data=b""):
    record = HEADER.pack(kind, position, length) + data
    if os.write(log, record) != len(record):
        nbdkit.set_error(errno.ENOSPC)
        raise OSError("the write log is full")


def pread(handle, buffer, offset, flags):
    buffer[:] = os.pread(image, len(buffer), offset)


def pwrite(handle, buffer, offset, flags):
    data = bytes(buffer)
    os.pwrite(image, data, offset)
    if data.count(0) == len(data):
        append(b"Z", offset, len(data))
    else:
        append(b"W", offset, len(data), data)


def flush(handle, flags):
    append(b"F", 0, 0)
