"""An independent client (paho-mqtt) subscribes, is away, comes back, and publishes at every QoS.

subscribe.py PORT VERSION TRANSPORT [AUTHORITY]: TRANSPORT is tcp or websockets, AUTHORITY whom to trust when it goes
through TLS. Prints one line a fact, and exits with 1 when one does not come in time.
"""

import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PASSWORD = "correct horse"
PATIENCE = 30


def client(user, name, version, clean):
    protocol = mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311
    options = {} if version == "5" else {"clean_session": clean}
    options["transport"] = sys.argv[3]
    it = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol, **options)
    it.ws_set_options(path="/mqtt")
    if len(sys.argv) > 4:
        it.tls_set(ca_certs=sys.argv[4])
    it.username_pw_set(user, PASSWORD)
    it.facts = queue.Queue()
    it.on_connect = lambda c, u, flags, code, p: it.facts.put(("connected", flags.session_present, code.value))
    it.on_subscribe = lambda c, u, mid, codes, p: it.facts.put(("granted", [code.value for code in codes]))
    it.on_message = lambda c, u, m: it.facts.put(("message", m.topic, m.payload.decode(), m.qos, m.retain))
    return it


def connect(it, port, version, clean):
    if version == "5":
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0 if clean else 60
        it.connect("localhost", port, clean_start=clean, properties=properties)
    else:
        it.connect("localhost", port)
    it.loop_start()


def expect(it, *fact):
    came = it.facts.get(timeout=PATIENCE)
    assert came == fact, f"{came} instead of {fact}"
    print(*fact)


def leave(it):
    it.disconnect()
    it.loop_stop()


def main():
    port, version = int(sys.argv[1]), sys.argv[2]
    up = "up/d-1/telemetry"
    device = client("d-1", "paho-device", version, True)
    device.will_set("up/d-1/state", '{"firmware": "7"}', qos=1)
    connect(device, port, version, True)
    expect(device, "connected", False, 0)

    reader = client("reader", f"paho-{version}", version, False)
    connect(reader, port, version, False)
    expect(reader, "connected", False, 0)
    reader.subscribe("up/#", qos=2)
    expect(reader, "granted", [2])
    for qos in (0, 1, 2):
        device.publish(up, '{"t": %d}' % qos, qos=qos).wait_for_publish(PATIENCE)
        expect(reader, "message", up, '{"t": %d}' % qos, qos, False)
    leave(reader)

    # What comes meanwhile waits, and what is retained is for who comes new.
    device.publish(up, '{"t": 3}', qos=2, retain=True).wait_for_publish(PATIENCE)
    reader = client("reader", f"paho-{version}", version, False)
    connect(reader, port, version, False)
    facts = [reader.facts.get(timeout=PATIENCE) for _ in range(2)]
    assert ("connected", True, 0) in facts and ("message", up, '{"t": 3}', 2, False) in facts, facts
    newcomer = client("reader", "paho-new", version, True)
    connect(newcomer, port, version, True)
    expect(newcomer, "connected", False, 0)
    newcomer.subscribe(up, qos=0)
    facts = [newcomer.facts.get(timeout=PATIENCE) for _ in range(2)]
    assert ("granted", [0]) in facts and ("message", up, '{"t": 3}', 0, True) in facts, facts
    leave(newcomer)

    # Gone without a word.
    device.loop_stop()
    device.socket().close()
    expect(reader, "message", "up/d-1/state", '{"firmware": "7"}', 1, False)
    leave(reader)


main()
