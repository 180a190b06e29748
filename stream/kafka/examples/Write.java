import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes a PM2.5 reading of each device named, as a service that is no gateway may.
 *
 *     java -cp 'kafka-clients.jar:slf4j-api.jar:…' Write.java BROKER TOPIC DEVICE...
 *
 * The key decides the partition by this client's default, which is ours.
 */
public class Write {
    public static void main(String[] arguments) throws Exception {
        var settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("acks", "all");
        settings.put("enable.idempotence", "true");
        var bytes = new ByteArraySerializer();
        try (var producer = new KafkaProducer<>(settings, bytes, bytes)) {
            for (int n = 2; n < arguments.length; n++) {
                var key = arguments[n].getBytes(StandardCharsets.UTF_8);
                var record = new ProducerRecord<>(arguments[1], key, reading(key, System.currentTimeMillis()));
                record.headers().add("content-type", "application/cbor".getBytes(StandardCharsets.UTF_8));
                record.headers().add("schema", "1".getBytes(StandardCharsets.UTF_8));
                producer.send(record).get();
            }
        }
    }

    /** [1, 1, {1: device, 2: instant, 9: [1, 35.5, 1]}]: version, observation; quantity PM2.5, value, quality good. */
    static byte[] reading(byte[] device, long instant) throws IOException {
        var bytes = new ByteArrayOutputStream();
        var out = new DataOutputStream(bytes);
        out.write(new byte[] {(byte) 0x83, 1, 1, (byte) 0xa3, 1});
        // Lengths and numbers are as short as they can be: 35.5 takes two bytes.
        out.write(device.length < 24 ? new byte[] {(byte) (0x60 | device.length)} : new byte[] {0x78, (byte) device.length});
        out.write(device);
        out.write(new byte[] {2, 0x1b});
        out.writeLong(instant);
        out.write(new byte[] {9, (byte) 0x83, 1, (byte) 0xf9, 0x50, 0x70, 1});
        return bytes.toByteArray();
    }
}
