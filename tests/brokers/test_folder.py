"""The folder of messages that serves as broker on one machine."""

import threading

from kombu import Connection

from smartmaint import broker


def test_a_message_is_never_seen_half_written(tmp_path):
    """A reader as quick as it can be meets a writer of large messages: none is empty, cut short, lost or doubled."""
    broker.register()
    for folder in ("messages", "control"):
        (tmp_path / folder).mkdir()
    options = {
        "data_folder_in": str(tmp_path / "messages"),
        "data_folder_out": str(tmp_path / "messages"),
        "control_folder": str(tmp_path / "control"),
    }
    sent = [f"{number} " + "x" * 200_000 for number in range(100)]

    def write():
        with Connection("filesystem://", transport_options=options) as connection:
            queue = connection.SimpleQueue("ticks")
            for body in sent:
                queue.put(body)
            queue.close()

    writer = threading.Thread(target=write)
    received = []
    with Connection("filesystem://", transport_options=options) as connection:
        queue = connection.SimpleQueue("ticks")
        # Threads, other than processes, share what kombu knows of queues: the writer must find this one made.
        writer.start()
        while len(received) < len(sent):
            try:
                message = queue.get_nowait()
            except queue.Empty:
                if not writer.is_alive() and not list((tmp_path / "messages").iterdir()):
                    break
                continue
            received.append(message.payload)
            message.ack()
        queue.close()
    writer.join()

    numbers = sorted(int(body.split()[0]) for body in received)
    assert numbers == list(range(len(sent)))
    assert all(len(body) > 200_000 for body in received)
