"""What tools_output.py runs against both brokers, in this order: (command, what it reads from its input)."""

RECORDS = "".join(f"key{number}:value{number}\n" for number in range(20))


def commands(text):
    return [(line.replace(" LONG", " " + "x" * 250), "") for line in text.strip().splitlines()]


TOPICS = commands("""
kafka-topics --list
kafka-topics --create --topic first --partitions 2 --replication-factor 1 --config retention.ms=100000
kafka-topics --create --topic first --partitions 2
kafka-topics --create --topic first --if-not-exists
kafka-topics --create --topic second
kafka-topics --create --topic with.dot
kafka-topics --create --topic with_dot
kafka-topics --create --topic third --replication-factor 2
kafka-topics --create --topic third --replication-factor 0
kafka-topics --create --topic third --partitions 0
kafka-topics --create --topic third --partitions x
kafka-topics --create --topic bad/name
kafka-topics --create --topic ..
kafka-topics --create --topic ""
kafka-topics --create --topic LONG
kafka-topics --create --topic third --config nonsense=1
kafka-topics --create --topic third --config retention.ms=-7
kafka-topics --create --topic third --config retention.ms=soon
kafka-topics --create --topic third --config cleanup.policy=burn
kafka-topics --create --topic third --config compression.type=rar
kafka-topics --create --topic third --config compression.type=gzip --config compression.gzip.level=99
kafka-topics --create --topic third --config min.insync.replicas=0
kafka-topics --create --topic third --config message.timestamp.type=never
kafka-topics --create --topic third --config segment.bytes=1
kafka-topics --create --topic third --config segment.bytes=99999999999
kafka-topics --create --topic third --config retention.bytes=x
kafka-topics --create --topic third --config min.cleanable.dirty.ratio=2
kafka-topics --create --topic third --config local.retention.ms=200000 --config retention.ms=1000
kafka-topics --create --topic third --config min.compaction.lag.ms=10 --config max.compaction.lag.ms=5
kafka-topics --create --topic third --config remote.storage.enable=true
kafka-topics --create --topic third --config preallocate=maybe
kafka-topics --create --topic third --config leader.replication.throttled.replicas=x
kafka-topics --create --topic placed --replica-assignment 1,1
kafka-topics --create --topic placed --replica-assignment 1:1
kafka-topics --create --topic placed --replica-assignment 9,1
kafka-topics --create --topic placed-twice --replica-assignment 1:2
kafka-topics --create --topic __consumer_offsets
kafka-topics --describe --topic first
kafka-topics --describe --topic placed
kafka-topics --describe --topic none
kafka-topics --describe --topic none --if-exists
kafka-topics --describe --topic-id AAAAAAAAAAAAAAAAAAAAAQ
kafka-topics --describe --topic-id zzz
kafka-topics --describe
kafka-topics --describe --topics-with-overrides
kafka-topics --describe --under-replicated-partitions
kafka-topics --describe --unavailable-partitions
kafka-topics --describe --under-min-isr-partitions
kafka-topics --describe --at-min-isr-partitions
kafka-topics --describe --partition-size-limit-per-response 1
kafka-topics --list --topic first
kafka-topics --list --exclude-internal
kafka-topics --alter --topic first --partitions 5
kafka-topics --alter --topic first --partitions 3
kafka-topics --alter --topic first --partitions 5
kafka-topics --alter --topic none --partitions 5
kafka-topics --alter --topic none --partitions 5 --if-exists
kafka-topics --alter --topic placed --partitions 3 --replica-assignment 1,1,1
kafka-topics --alter --topic placed --partitions 4 --replica-assignment 1,1,1,7
kafka-topics --alter --topic placed --partitions 5 --replica-assignment 1,1,1,1
kafka-topics --alter --topic second --config retention.ms=1
kafka-topics --delete --topic none
kafka-topics --delete --topic none --if-exists
kafka-topics --delete --topic placed
kafka-topics --describe --topic placed
kafka-topics --delete --topic __cluster_metadata
kafka-topics --create --topic placed
kafka-topics --list
kafka-topics
""")

CONFIGS = commands("""
kafka-configs --entity-type topics --entity-name first --describe
kafka-configs --entity-type topics --entity-name first --describe --all
kafka-configs --entity-type topics --describe
kafka-configs --topic second --alter --add-config segment.ms=1000,max.message.bytes=2000
kafka-configs --topic second --alter --add-config cleanup.policy=[compact,delete]
kafka-configs --topic second --alter --delete-config segment.ms
kafka-configs --topic second --alter --delete-config segment.ms
kafka-configs --topic second --alter --delete-config nonsense
kafka-configs --topic second --describe
kafka-configs --topic second --alter --add-config segment.ms=soon
kafka-configs --topic second --alter --add-config nonsense=1
kafka-configs --topic second --alter --add-config segment.ms=
kafka-configs --topic second --alter --add-config segment.ms
kafka-configs --topic second --alter --add-config cleanup.policy=[compact,burn]
kafka-configs --topic second --alter --add-config min.insync.replicas=2
kafka-configs --topic second --alter --add-config-file file:retention.bytes=10000000
kafka-configs --topic second --describe
kafka-configs --topic second --alter --delete-config min.insync.replicas,retention.bytes,max.message.bytes,cleanup.policy
kafka-configs --topic none --describe
kafka-configs --topic none --alter --add-config segment.ms=1000
kafka-configs --topic none --alter --delete-config segment.ms
kafka-configs --topic bad/name --alter --add-config segment.ms=1000
kafka-configs --broker 1 --alter --add-config log.retention.ms=1000000
kafka-configs --broker-defaults --alter --add-config message.max.bytes=1000000
kafka-configs --broker 1 --describe
kafka-configs --broker-defaults --describe
kafka-configs --topic first --describe --all
kafka-configs --topic first --alter --delete-config retention.ms
kafka-configs --topic first --describe --all
kafka-configs --broker 1 --alter --delete-config log.retention.ms
kafka-configs --broker-defaults --alter --delete-config message.max.bytes
kafka-configs --broker 1 --alter --add-config node.id=3
kafka-configs --broker 1 --alter --add-config log.retention.ms=soon
kafka-configs --broker 1 --alter --add-config nonsense=1
kafka-configs --broker 1 --alter --add-config log.cleaner.threads=7
kafka-configs --broker 1 --alter --add-config num.io.threads=100
kafka-configs --broker-defaults --alter --add-config log.segment.bytes=1
kafka-configs --broker 9 --alter --add-config log.retention.ms=1000000
kafka-configs --broker 9 --describe
kafka-configs --broker x --describe
kafka-configs --broker 1 --describe --all
kafka-configs --broker-logger 1 --alter --add-config kafka.server=DEBUG
kafka-configs --broker-logger 1 --alter --add-config kafka.server=LOUD
kafka-configs --broker-logger 1 --alter --add-config no.such.logger=DEBUG
kafka-configs --broker-logger 1 --alter --delete-config kafka.server
kafka-configs --broker-logger 9 --describe
kafka-configs --user anna --describe
kafka-configs --user anna --alter --add-config producer_byte_rate=1000,consumer_byte_rate=2000
kafka-configs --user anna --client-id one --alter --add-config request_percentage=200
kafka-configs --client-id one --alter --add-config controller_mutation_rate=10
kafka-configs --client-defaults --alter --add-config producer_byte_rate=100000000
kafka-configs --user-defaults --alter --add-config producer_byte_rate=100000000
kafka-configs --user anna --describe
kafka-configs --user anna --client-id one --describe
kafka-configs --client-defaults --describe
kafka-configs --user-defaults --describe
kafka-configs --entity-type clients --describe
kafka-configs --entity-type users --describe
kafka-configs --entity-type users --entity-type clients --describe
kafka-configs --user anna --alter --add-config producer_byte_rate=-1
kafka-configs --user anna --alter --add-config producer_byte_rate=x
kafka-configs --user anna --alter --add-config nonsense=1
kafka-configs --user anna --alter --delete-config producer_byte_rate
kafka-configs --user anna --alter --delete-config producer_byte_rate
kafka-configs --client-defaults --alter --delete-config producer_byte_rate
kafka-configs --user-defaults --alter --delete-config producer_byte_rate
kafka-configs --ip 127.0.0.9 --alter --add-config connection_creation_rate=100
kafka-configs --ip 127.0.0.9 --describe
kafka-configs --ip-defaults --describe
kafka-configs --entity-type ips --describe
kafka-configs --ip 127.0.0.9 --alter --add-config connection_creation_rate=-1
kafka-configs --ip no.such.host.invalid --alter --add-config connection_creation_rate=1
kafka-configs --user anna --alter --add-config SCRAM-SHA-256=[password=secret]
kafka-configs --entity-type groups --entity-name g --describe
kafka-configs --entity-type groups --entity-name g --alter --add-config consumer.session.timeout.ms=50000
kafka-configs --entity-type groups --entity-name g --alter --add-config consumer.session.timeout.ms=5
kafka-configs --entity-type groups --entity-name g --alter --add-config nonsense=5
kafka-configs --entity-type groups --entity-name g --describe
kafka-configs --entity-type groups --describe
kafka-configs --entity-type client-metrics --describe
kafka-configs --entity-type client-metrics --entity-name m --alter --add-config interval.ms=1000
kafka-configs --entity-type client-metrics --entity-name m --describe
kafka-configs --entity-type client-metrics --entity-name m --alter --delete-config interval.ms
kafka-configs --entity-type nonsense --describe
kafka-configs --describe
""")

CONSOLE = [
    *commands("kafka-topics --create --topic log --partitions 1"),
    # One at a time: into how many batches a producer packs its records is chance.
    ("kafka-console-producer --topic log --sync --command-property acks=all --reader-property parse.key=true --reader-property key.separator=:", RECORDS),
    ("kafka-console-producer --topic log --compression-codec zstd --reader-property parse.headers=true", "a:1,b:2\twith headers\n"),
    ("kafka-console-producer --topic log --command-property enable.idempotence=false --sync", "plain\n"),
    ("kafka-console-producer --topic log --reader-property parse.key=true", "no key\n"),
    ("kafka-console-producer --topic log --command-property acks=7", "x\n"),
    ("kafka-console-producer --topic bad/name --command-property max.block.ms=2000", "x\n"),
    ("kafka-console-producer --topic made --command-property acks=1", "automatic\n"),
    *commands("""
kafka-topics --describe --topic made
kafka-console-consumer --topic log --from-beginning --max-messages 22 --timeout-ms 120000
kafka-console-consumer --topic log --from-beginning --max-messages 22 --timeout-ms 120000 --formatter-property print.key=true --formatter-property print.headers=true --formatter-property print.offset=true --formatter-property print.partition=true --formatter-property print.epoch=true
kafka-console-consumer --topic log --partition 0 --offset 18 --max-messages 4 --timeout-ms 120000
kafka-console-consumer --topic log --partition 0 --offset 99 --timeout-ms 4000 --command-property auto.offset.reset=none
kafka-console-consumer --topic log --partition 0 --offset latest --timeout-ms 4000
kafka-console-consumer --topic log --partition 7 --offset earliest --timeout-ms 4000
kafka-console-consumer --include "log|made" --from-beginning --max-messages 23 --timeout-ms 120000
kafka-console-consumer --topic none-here --from-beginning --timeout-ms 4000 --command-property allow.auto.create.topics=false
kafka-console-consumer --topic log --from-beginning --isolation-level read_committed --max-messages 3 --timeout-ms 120000
kafka-console-consumer --topic log --from-beginning --isolation-level nonsense --max-messages 3 --timeout-ms 120000
kafka-console-consumer --topic log --group g --from-beginning --max-messages 3 --timeout-ms 120000
kafka-console-consumer --topic bad/name --timeout-ms 4000
kafka-console-consumer --topic __consumer_offsets --from-beginning --max-messages 1 --timeout-ms 120000 --formatter org.apache.kafka.tools.consumer.OffsetsMessageFormatter
""")]

OFFSETS = commands("""
kafka-get-offsets --topic log
kafka-get-offsets --topic log --time -1
kafka-get-offsets --topic log --time -2
kafka-get-offsets --topic log --time -3
kafka-get-offsets --topic log --time -4
kafka-get-offsets --topic log --time -5
kafka-get-offsets --topic log --time -6
kafka-get-offsets --topic log --time 1000000000000
kafka-get-offsets --topic log --time 9000000000000
kafka-get-offsets --topic log --time soon
kafka-get-offsets --topic first --time max-timestamp
kafka-get-offsets --topic none
kafka-get-offsets --topic-partitions log:0,first:1-3
kafka-get-offsets --topic-partitions log:7
kafka-get-offsets --topic first --partitions 0,4
kafka-get-offsets --exclude-internal-topics
kafka-delete-records --offset-json-file '{"partitions":[{"topic":"log","partition":0,"offset":5}],"version":1}'
kafka-delete-records --offset-json-file '{"partitions":[{"topic":"log","partition":0,"offset":3}],"version":1}'
kafka-delete-records --offset-json-file '{"partitions":[{"topic":"log","partition":0,"offset":500}],"version":1}'
kafka-delete-records --offset-json-file '{"partitions":[{"topic":"log","partition":0,"offset":-1}],"version":1}'
kafka-delete-records --offset-json-file '{"partitions":[{"topic":"log","partition":0,"offset":-2}],"version":1}'
kafka-delete-records --command-config file:default.api.timeout.ms=3000 --offset-json-file '{"partitions":[{"topic":"log","partition":4,"offset":1},{"topic":"none","partition":0,"offset":1}],"version":1}'
kafka-delete-records --offset-json-file '{"partitions":[{"topic":"log","partition":0,"offset":1},{"topic":"log","partition":0,"offset":2}],"version":1}'
kafka-get-offsets --topic log --time earliest
kafka-get-offsets --topic log --time latest
kafka-console-consumer --topic log --partition 0 --offset earliest --timeout-ms 5000
kafka-topics --create --topic compact --config cleanup.policy=compact
kafka-delete-records --offset-json-file '{"partitions":[{"topic":"compact","partition":0,"offset":0}],"version":1}'
kafka-log-dirs --describe --topic-list log
kafka-log-dirs --describe --topic-list none
kafka-log-dirs --describe --broker-list 1 --topic-list first
kafka-log-dirs --describe --broker-list 9
kafka-log-dirs --describe --broker-list x
kafka-log-dirs
""")

CLUSTER = commands("""
kafka-broker-api-versions
kafka-features describe
kafka-features downgrade --feature metadata.version=29
kafka-features downgrade --feature group.version=0
kafka-features describe
kafka-features upgrade --feature group.version=1
kafka-features upgrade --feature group.version=1 --dry-run
kafka-features upgrade --feature group.version=2
kafka-features upgrade --feature new.feature=1
kafka-features upgrade --feature group.version=x
kafka-features upgrade --metadata 4.3-IV0
kafka-features upgrade --metadata 4.9-IV0
kafka-features upgrade --release-version 4.3
kafka-features disable --feature eligible.leader.replicas.version
kafka-features upgrade --feature eligible.leader.replicas.version=1
kafka-features downgrade --metadata 3.3-IV0 --unsafe
kafka-features version-mapping --release-version 4.2
kafka-features feature-dependencies --feature group.version=1
kafka-metadata-quorum describe --status
kafka-metadata-quorum describe --replication
kafka-metadata-quorum describe --replication --human-readable
kafka-metadata-quorum remove-controller --controller-id 1 --controller-directory-id AAAAAAAAAAAAAAAAAAAAAQ
kafka-metadata-quorum remove-controller --controller-id 7 --controller-directory-id AAAAAAAAAAAAAAAAAAAAAQ
kafka-reassign-partitions --list
kafka-reassign-partitions --generate --broker-list 1 --topics-to-move-json-file '{"topics":[{"topic":"first"}],"version":1}'
kafka-reassign-partitions --generate --broker-list 1,2 --topics-to-move-json-file '{"topics":[{"topic":"first"}],"version":1}'
kafka-reassign-partitions --generate --broker-list 1 --topics-to-move-json-file '{"topics":[{"topic":"none"}],"version":1}'
kafka-reassign-partitions --execute --reassignment-json-file '{"partitions":[{"topic":"log","partition":0,"replicas":[1]}],"version":1}'
kafka-reassign-partitions --execute --reassignment-json-file '{"partitions":[{"topic":"log","partition":0,"replicas":[2]}],"version":1}'
kafka-reassign-partitions --execute --reassignment-json-file '{"partitions":[{"topic":"log","partition":0,"replicas":[1,1]}],"version":1}'
kafka-reassign-partitions --execute --reassignment-json-file '{"partitions":[{"topic":"log","partition":0,"replicas":[]}],"version":1}'
kafka-reassign-partitions --execute --reassignment-json-file '{"partitions":[{"topic":"log","partition":9,"replicas":[1]}],"version":1}'
kafka-reassign-partitions --execute --reassignment-json-file '{"partitions":[{"topic":"none","partition":0,"replicas":[1]}],"version":1}'
kafka-reassign-partitions --execute --throttle 1000 --reassignment-json-file '{"partitions":[{"topic":"log","partition":0,"replicas":[1]}],"version":1}'
kafka-configs --topic log --describe
kafka-configs --broker 1 --describe
kafka-reassign-partitions --verify --reassignment-json-file '{"partitions":[{"topic":"log","partition":0,"replicas":[1]}],"version":1}'
kafka-reassign-partitions --verify --reassignment-json-file '{"partitions":[{"topic":"none","partition":0,"replicas":[1]}],"version":1}'
kafka-reassign-partitions --cancel --reassignment-json-file '{"partitions":[{"topic":"log","partition":0,"replicas":[1]}],"version":1}'
kafka-configs --topic log --describe
kafka-leader-election --election-type preferred --all-topic-partitions
kafka-leader-election --election-type unclean --all-topic-partitions
kafka-leader-election --election-type preferred --topic log --partition 0
kafka-leader-election --election-type unclean --topic log --partition 0
kafka-leader-election --election-type preferred --topic log --partition 9
kafka-leader-election --election-type preferred --topic none --partition 0
kafka-leader-election --election-type preferred --path-to-json-file '{"partitions":[{"topic":"log","partition":0},{"topic":"first","partition":1}]}'
kafka-leader-election --election-type nonsense --all-topic-partitions
kafka-cluster cluster-id
kafka-cluster list-endpoints
kafka-cluster unregister --id 9
kafka-client-metrics --list
kafka-client-metrics --describe
kafka-client-metrics --alter --name m --metrics org.apache.kafka.producer. --interval 1000
kafka-client-metrics --describe --name m
kafka-client-metrics --delete --name m
kafka-acls --list
kafka-acls --add --allow-principal User:anna --operation Read --topic log
kafka-transactions list
kafka-transactions describe-producers --topic log --partition 0
kafka-transactions describe --transactional-id none
kafka-transactions find-hanging --broker-id 1
kafka-topics --describe --topic log
""")

HISTORY = [*TOPICS, *CONFIGS, *CONSOLE, *OFFSETS, *CLUSTER]

# Of the data directories, after clean stops.
DUMPED = [
    "log-0/00000000000000000000.log --print-data-log --deep-iteration",
    "log-0/00000000000000000000.index",
    "log-0/00000000000000000000.timeindex",
    "log-0/00000000000000000000.index --index-sanity-check",
    "made-0/00000000000000000000.log --print-data-log",
    "none-0/00000000000000000000.log",
]

# Lines that only one of both prints: (pattern of the line, reason). They are taken out of both outputs.
KNOWN_LINES = [
    (r"^  ringlog\.", "keys of Ringlog's own"),
    (r"^  nonsense=", "set on Kafka, which takes any key of a broker"),
    (r"^Feature: (kraft|share|streams|transaction)\.version ", "features that Ringlog keeps and does not serve"),
    (r"^\t(SaslHandshake|SaslAuthenticate|\w+Txn|WriteTxnMarkers|TxnOffsetCommit|\w+Acls|\w+DelegationToken|"
     r"AlterUserScramCredentials|UnregisterBroker|\w+Transactions|\w+RaftVoter|\w*Telemetry\w*|Share\w*|\w*ShareGroup\w*|"
     r"StreamsGroup\w+|AssignReplicasToDirs)\(\d+\): ", "APIs that Ringlog does not have"),
]

# Commands that differ and should: (pattern of the command, reason).
NOT_YET = "not there yet: transactions, ACLs, SASL"
KNOWN = [
    (r"^kafka-configs .*--broker 1 --alter --add-config nonsense=1", "Kafka takes any key; a slip is refused and named"),
    (r"--add-config (log.cleaner.threads|num.io.threads)=", "without effect here, and said so"),
    (r"^kafka-configs .*SCRAM-SHA-256", NOT_YET),
    (r"^kafka-configs --entity-type client-metrics --entity-name m", "no client metrics are collected"),
    (r"^kafka-client-metrics --(alter|describe --name m|delete)", "no client metrics are collected"),
    (r"^kafka-features disable", "the level found in the directory is kept"),
    (r"^kafka-metadata-quorum remove-controller", "one node is the quorum, and stays it"),
    (r"^kafka-cluster unregister", "one node is the cluster, and stays it"),
    (r"^kafka-acls", NOT_YET),
    (r"^kafka-transactions (list|describe --)", NOT_YET),
]
