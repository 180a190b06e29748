"""Prints what stands on a topic of Sluice, a JSON object a line, until as many have come as were asked for.

    pip install confluent-kafka cbor2
    python3 read.py BROKER TOPIC [COUNT]        for example: read.py 127.0.0.1:9092 observations 10

Records are described in stream/records/README.md. The group here never commits, so it begins at the oldest record
each time; a service that goes on where it was commits after it has done its work.
"""

import json
import sys

import cbor2
from confluent_kafka import Consumer, KafkaException

KINDS = ["", "observation", "device", "tick", "action", "aggregate", "sighting", "quarantined", "account", "share"]


def record(content_type, value):
    if content_type == "application/json":
        return {"kind": "alert", **json.loads(value)}
    version, kind, fields = cbor2.loads(value)
    return {"kind": KINDS[kind], "version": version, **{str(key): field for key, field in fields.items()}}


def main(broker, topic, count="-1"):
    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": f"read.py-{topic}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            # What a transaction that failed has written is not there.
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([topic])
    left = int(count)
    while left != 0:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        headers = {name: value.decode() for name, value in message.headers() or []}
        line = {
            "partition": message.partition(),
            "offset": message.offset(),
            "key": message.key().decode(),
            "headers": headers,
            "record": record(headers["content-type"], message.value()),
        }
        print(json.dumps(line, default=lambda raw: raw.hex()), flush=True)
        left -= 1
    consumer.close()


main(*sys.argv[1:])
