"""Batches of an idempotent producer that were in flight when a broker went away, and are sent again to the next one."""
import os, struct, sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "scale"))
from frames import PRODUCE, Connection, batch, produce_body

PRODUCER_ID, BATCHES = 4242, 5


def send(port, topic):
    """Sends them all to partition 0, in order; the offset, or the error, of each."""
    connection = Connection(port)
    answers = [connection.ask(PRODUCE, 3, produce_body(topic, [0], batch(producer=(PRODUCER_ID, 0, sequence))))
               for sequence in range(BATCHES)]
    connection.close()
    found = [struct.unpack_from(">hq", answer, 14 + len(topic)) for answer in answers]
    return [offset if code == 0 else f"error {code}" for code, offset in found]
