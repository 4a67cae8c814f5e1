import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.*;

/**
 * A word count with a join, a repartition topic, and two state stores with their changelogs.
 *
 * Each author speaks a language (a table); each line has an author. Words are counted by language, twice: once as they
 * come, which at-least-once may count again after a crash, and once by the set of the lines that hold them, which is
 * exact however often a line is delivered. Lines are made from their number, so that the model needs no broker.
 *
 * Usage: WordCount create|produce|run|check|clear|delete HOST:PORT ARGUMENT...
 */
public class WordCount {
    static final String LINES = "streams-lines", AUTHORS = "streams-authors", COUNTS = "streams-counts", SETS = "streams-sets";
    static final int AUTHORS_COUNT = 50, PARTITIONS = 4;

    static String author(int line) { return "author-" + line * 31 % AUTHORS_COUNT; }
    static String language(String author) { return "language-" + Integer.parseInt(author.substring(7)) % 3; }

    static String text(int line) {
        Random random = new Random(line);
        StringJoiner words = new StringJoiner(" ", line + " ", "");
        for (int word = 0; word < 6; word++) words.add("w" + (int) (20 * random.nextDouble() * random.nextDouble()));
        return words.toString();
    }

    static Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        KTable<String, String> authors = builder.table(AUTHORS, Materialized.as("authors"));
        KGroupedStream<String, Integer> words = builder.<String, String>stream(LINES)
            .join(authors, (line, language) -> language + " " + line)
            .flatMap((author, line) -> {
                String[] parts = line.split(" ");
                List<KeyValue<String, Integer>> found = new ArrayList<>();
                for (int i = 2; i < parts.length; i++) found.add(KeyValue.pair(parts[0] + "/" + parts[i], Integer.valueOf(parts[1])));
                return found;
            })
            .groupByKey(Grouped.with("words", Serdes.String(), Serdes.Integer()));
        words.count(Materialized.as("counts")).toStream().to(COUNTS, Produced.with(Serdes.String(), Serdes.Long()));
        words.aggregate(() -> new byte[0], (word, line, seen) -> {
                BitSet lines = BitSet.valueOf(seen);
                lines.set(line);
                return lines.toByteArray();
            }, Materialized.<String, byte[], org.apache.kafka.streams.state.KeyValueStore<org.apache.kafka.common.utils.Bytes, byte[]>>as("sets").withValueSerde(Serdes.ByteArray()))
            .toStream().mapValues(seen -> (long) BitSet.valueOf(seen).cardinality())
            .to(SETS, Produced.with(Serdes.String(), Serdes.Long()));
        return builder.build();
    }

    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[1];
        switch (arguments[0]) {
            case "create" -> create(bootstrap);
            case "produce" -> produce(bootstrap, Integer.parseInt(arguments[2]), Integer.parseInt(arguments[3]));
            case "run" -> run(bootstrap, arguments[2], arguments[3], arguments[4], arguments.length > 5 ? arguments[5] : "classic");
            case "check" -> System.exit(check(bootstrap, Integer.parseInt(arguments[2]), Integer.parseInt(arguments[3])) ? 0 : 1);
            case "clear" -> clear(bootstrap);
            case "delete" -> delete(bootstrap);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    static void create(String bootstrap) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            NewTopic authors = new NewTopic(AUTHORS, PARTITIONS, (short) 1).configs(Map.of("cleanup.policy", "compact"));
            List<NewTopic> topics = new ArrayList<>(List.of(authors));
            for (String topic : List.of(LINES, COUNTS, SETS)) topics.add(new NewTopic(topic, PARTITIONS, (short) 1));
            admin.createTopics(topics).all().get();
        }
        try (KafkaProducer<String, String> producer = producer(bootstrap)) {
            for (int i = 0; i < AUTHORS_COUNT; i++) producer.send(new ProducerRecord<>(AUTHORS, "author-" + i, language("author-" + i)));
        }
    }

    static KafkaProducer<String, String> producer(String bootstrap) {
        return new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap, "linger.ms", 20), new StringSerializer(), new StringSerializer());
    }

    /** Lines 0 to count, spread over the seconds. */
    static void produce(String bootstrap, int count, int seconds) throws Exception {
        try (KafkaProducer<String, String> producer = producer(bootstrap)) {
            long began = System.nanoTime();
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int line = 0; line < count; line++) {
                long wait = began + line * 1_000_000_000L / count * seconds - System.nanoTime();
                if (wait > 0) TimeUnit.NANOSECONDS.sleep(wait);
                sent.add(producer.send(new ProducerRecord<>(LINES, author(line), text(line))));
            }
            for (Future<RecordMetadata> record : sent) record.get();
        }
        System.out.println("produced " + count + " lines");
    }

    /** One instance; runs until it is killed, and ends with 3 when it fails. */
    static void run(String bootstrap, String application, String directory, String guarantee, String protocol) {
        Properties config = new Properties();
        config.putAll(Map.of(
            StreamsConfig.APPLICATION_ID_CONFIG, application, StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap,
            StreamsConfig.STATE_DIR_CONFIG, directory, StreamsConfig.PROCESSING_GUARANTEE_CONFIG, guarantee,
            StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class, StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class,
            StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2, StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 500,
            ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest", StreamsConfig.GROUP_PROTOCOL_CONFIG, protocol));
        if (protocol.equals("classic")) config.put(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, 6000);
        KafkaStreams streams = new KafkaStreams(topology(), config);
        streams.setUncaughtExceptionHandler(error -> {
            System.out.println("FAILED " + error + (error.getCause() == null ? "" : ", because " + error.getCause()));
            new Thread(() -> Runtime.getRuntime().halt(3)).start();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((now, before) -> System.out.println("state " + now));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
        streams.start();
    }

    /** Waits until what came out equals the model; the counts as they come may be higher after a crash. */
    static boolean check(String bootstrap, int count, int seconds) {
        Map<String, Long> lines = new TreeMap<>(), words = new TreeMap<>();
        for (int line = 0; line < count; line++) {
            String language = language(author(line));
            String[] parts = text(line).split(" ");
            for (int i = 1; i < parts.length; i++) words.merge(language + "/" + parts[i], 1L, Long::sum);
            for (String word : new HashSet<>(Arrays.asList(parts).subList(1, parts.length))) lines.merge(language + "/" + word, 1L, Long::sum);
        }
        Map<String, Long> sets = new TreeMap<>(), counts = new TreeMap<>();
        long records = 0, until = System.nanoTime() + seconds * 1_000_000_000L;
        try (KafkaConsumer<String, Long> consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap), new StringDeserializer(), new LongDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (int i = 0; i < PARTITIONS; i++) partitions.addAll(List.of(new TopicPartition(COUNTS, i), new TopicPartition(SETS, i)));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (!(sets.equals(lines) && atLeast(counts, words)) && System.nanoTime() < until) {
                for (ConsumerRecord<String, Long> record : consumer.poll(Duration.ofMillis(200))) {
                    records++;
                    (record.topic().equals(SETS) ? sets : counts).put(record.key(), record.value());
                }
            }
        }
        long again = counts.values().stream().mapToLong(Long::longValue).sum() - words.values().stream().mapToLong(Long::longValue).sum();
        if (sets.equals(lines) && atLeast(counts, words)) {
            System.out.printf("ok %d lines, %d words in %d keys equal the model; %d updates read, %d words counted again%n",
                count, words.values().stream().mapToLong(Long::longValue).sum(), words.size(), records, again);
            return true;
        }
        lines.forEach((word, want) -> { if (!want.equals(sets.get(word))) System.out.println(word + ": lines " + sets.get(word) + ", not " + want); });
        words.forEach((word, want) -> { if (counts.getOrDefault(word, 0L) < want) System.out.println(word + ": count " + counts.get(word) + ", not " + want); });
        return false;
    }

    static boolean atLeast(Map<String, Long> counts, Map<String, Long> words) {
        return words.entrySet().stream().allMatch(word -> counts.getOrDefault(word.getKey(), 0L) >= word.getValue());
    }

    /** Removes what came out. */
    static void clear(String bootstrap) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            Map<TopicPartition, RecordsToDelete> all = new HashMap<>();
            for (int i = 0; i < PARTITIONS; i++) for (String topic : List.of(COUNTS, SETS)) all.put(new TopicPartition(topic, i), RecordsToDelete.beforeOffset(-1));
            admin.deleteRecords(all).all().get();
        }
    }

    static void delete(String bootstrap) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            Set<String> ours = new TreeSet<>(admin.listTopics().names().get());
            ours.removeIf(topic -> !topic.startsWith("streams-"));
            admin.deleteTopics(ours).all().get();
            System.out.println("deleted " + ours);
        }
    }
}
