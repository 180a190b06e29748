import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Prints what stands on a topic of Sluice, a line a record, until as many have come as were asked for.
 *
 *     java -cp 'kafka-clients.jar:slf4j-api.jar:…' Read.java BROKER TOPIC COUNT
 *
 * Records are described in stream/records/README.md. The group here never commits, so it begins at the oldest record
 * each time; a service that goes on where it was commits after it has done its work.
 */
public class Read {
    public static void main(String[] arguments) {
        var settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("group.id", "Read.java-" + arguments[1]);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        // What a transaction that failed has written is not there.
        settings.put("isolation.level", "read_committed");
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(settings, bytes, bytes)) {
            consumer.subscribe(List.of(arguments[1]));
            for (int left = Integer.parseInt(arguments[2]); left > 0; ) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    System.out.println(line(record));
                    left--;
                }
            }
        }
    }

    static String line(ConsumerRecord<byte[], byte[]> record) {
        var headers = new LinkedHashMap<String, String>();
        for (Header header : record.headers()) {
            headers.put(header.key(), new String(header.value(), StandardCharsets.UTF_8));
        }
        var isJson = "application/json".equals(headers.get("content-type"));
        Object value = isJson ? new String(record.value(), StandardCharsets.UTF_8) : cbor(ByteBuffer.wrap(record.value()));
        var key = new String(record.key(), StandardCharsets.UTF_8);
        return record.partition() + " " + record.offset() + " " + key + " " + headers + " " + value;
    }

    /** The part of CBOR (RFC 8949) that our records use: definite lengths, no tags. */
    static Object cbor(ByteBuffer in) {
        int head = in.get() & 0xff;
        int major = head >> 5;
        if (major == 7) {
            return switch (head & 31) {
                case 20 -> false;
                case 21 -> true;
                case 22 -> null;
                case 25 -> half(in.getShort());
                case 26 -> (double) in.getFloat();
                case 27 -> in.getDouble();
                default -> throw new IllegalArgumentException("not of our records: " + head);
            };
        }
        long number = argument(in, head & 31);
        return switch (major) {
            case 0 -> number;
            case 1 -> -1 - number;
            case 2 -> HexFormat.of().formatHex(take(in, number));
            case 3 -> new String(take(in, number), StandardCharsets.UTF_8);
            case 4 -> list(in, number);
            case 5 -> map(in, number);
            default -> throw new IllegalArgumentException("not of our records: " + head);
        };
    }

    static long argument(ByteBuffer in, int short_) {
        return switch (short_) {
            case 24 -> in.get() & 0xff;
            case 25 -> in.getShort() & 0xffff;
            case 26 -> in.getInt() & 0xffffffffL;
            case 27 -> in.getLong();
            default -> short_;
        };
    }

    /** A number of two bytes (RFC 8949, appendix D); ours are finite. */
    static double half(short bits) {
        int exponent = bits >> 10 & 31;
        double fraction = bits & 1023;
        double size = exponent == 0 ? fraction / (1 << 24) : (1024 + fraction) * Math.pow(2, exponent - 25);
        return bits < 0 ? -size : size;
    }

    static byte[] take(ByteBuffer in, long length) {
        var bytes = new byte[(int) length];
        in.get(bytes);
        return bytes;
    }

    static List<Object> list(ByteBuffer in, long length) {
        var list = new ArrayList<>();
        for (long n = 0; n < length; n++) {
            list.add(cbor(in));
        }
        return list;
    }

    static Map<Object, Object> map(ByteBuffer in, long length) {
        var map = new LinkedHashMap<>();
        for (long n = 0; n < length; n++) {
            map.put(cbor(in), cbor(in));
        }
        return map;
    }
}
