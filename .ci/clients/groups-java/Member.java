import java.time.Duration;
import java.util.*;
import java.util.stream.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a group for groups_members.py, with Kafka's own consumer.
 *
 * Usage: Member java-eager|java-cooperative|java-consumer HOST:PORT TOPIC GROUP
 */
public class Member {
    static String list(Collection<TopicPartition> partitions) {
        return partitions.stream().map(p -> "" + p.partition()).collect(Collectors.joining(", ", "[", "]"));
    }

    static synchronized void say(String event, String value) { System.out.println("{\"" + event + "\": " + value + "}"); }

    static Map<String, Object> config(String client, String bootstrap, String group) {
        Map<String, Object> config = new HashMap<>(Map.of(
            "bootstrap.servers", bootstrap, "client.id", "member-" + ProcessHandle.current().pid(), "group.id", group,
            "auto.offset.reset", "earliest", "enable.auto.commit", false,
            "max.poll.records", 50, "key.deserializer", StringDeserializer.class, "value.deserializer", StringDeserializer.class));
        if (client.equals("java-consumer")) {
            config.put("group.protocol", "consumer");
            return config;
        }
        Class<?> assignor = client.equals("java-eager") ? RangeAssignor.class : CooperativeStickyAssignor.class;
        config.putAll(Map.of(
            "partition.assignment.strategy", assignor.getName(), "session.timeout.ms", 6000, "heartbeat.interval.ms", 500));
        return config;
    }

    public static void main(String[] args) {
        var consumer = new KafkaConsumer<String, String>(config(args[0], args[1], args[3]));
        Thread reader = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                reader.join();
            } catch (InterruptedException killed) {
                reader.interrupt();
            }
        }));
        consumer.subscribe(List.of(args[2]), new ConsumerRebalanceListener() {
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) { say("assigned", list(partitions)); }
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) { say("revoked", list(partitions)); }
        });
        try {
            while (true) step(consumer);
        } catch (WakeupException end) {
            consumer.close();
        }
    }

    /** Reads some records, and commits what it has read. */
    static void step(KafkaConsumer<String, String> consumer) {
        var records = consumer.poll(Duration.ofMillis(200));
        if (records.isEmpty()) return;
        for (var record : records) say("got", "[" + record.partition() + ", " + record.offset() + ", \"" + record.value() + "\"]");
        var next = new HashMap<TopicPartition, OffsetAndMetadata>();
        for (var partition : records.partitions()) {
            var read = records.records(partition);
            next.put(partition, new OffsetAndMetadata(read.get(read.size() - 1).offset() + 1));
        }
        try {
            consumer.commitSync(next);
        } catch (WakeupException end) {
            throw end;
        } catch (KafkaException outOfTheGroup) {
            return;
        }
        say("committed", next.entrySet().stream()
            .map(entry -> "[" + entry.getKey().partition() + ", " + entry.getValue().offset() + "]")
            .collect(Collectors.joining(", ", "[", "]")));
    }
}
