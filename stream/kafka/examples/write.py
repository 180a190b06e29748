"""Writes a PM2.5 reading of each device named, as a service that is no gateway may.

    pip install confluent-kafka cbor2
    python3 write.py BROKER TOPIC DEVICE...     for example: write.py 127.0.0.1:9092 telemetry pm-1 pm-2

The key decides the partition, and all records of a device must stand in one: librdkafka's own default is another
hash than that of Kafka's Java client, so the partitioner is named.
"""

import sys
import time

import cbor2
from confluent_kafka import Producer


def main(broker, topic, *devices):
    producer = Producer(
        {
            "bootstrap.servers": broker,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "acks": "all",
        }
    )
    headers = {"content-type": "application/cbor", "schema": "1"}
    for device in devices:
        now = int(time.time() * 1000)
        # [version, kind observation, {device, ingest time, readings: [quantity 1 (PM2.5), value, quality good]}]
        value = cbor2.dumps([1, 1, {1: device, 2: now, 9: [1, 35.5, 1]}], canonical=True)
        producer.produce(topic, key=device.encode(), value=value, headers=headers, on_delivery=delivered)
    producer.flush()


def delivered(error, message):
    if error:
        raise SystemExit(f"{message.key()}: {error}")


main(*sys.argv[1:])
