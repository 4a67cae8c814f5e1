#!/usr/bin/env python3
"""Prometheus scrapes a broker under a little load; then promtool has no complaint, the rules and the configuration of
packaging/prometheus are sound, and what dashboards for Kafka ask of the JMX exporter's and kafka_exporter's names has an
answer, as has each query of packaging/grafana. Needs Debian's `prometheus` and `kcat`. Usage: prometheus.py RINGLOG_BINARY DIRECTORY
"""
import json, os, re, subprocess, sys, tempfile, time, urllib.parse, urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from ringlog import free_port

binary, directory = os.path.abspath(sys.argv[1]), tempfile.mkdtemp(dir=sys.argv[2])
packaging = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../packaging")

# Each must have a result: what Strimzi's dashboards and kafka_exporter's own are made of, without the JVM.
QUERIES = [
    *[f'sum(rate(kafka_server_brokertopicmetrics_{name}_total{{topic!=""}}[30s])) by (topic)'
      for name in ["messagesin", "bytesin", "bytesout", "totalproducerequests", "totalfetchrequests",
                   "failedproducerequests", "failedfetchrequests"]],
    'sum by (request) (rate(kafka_network_requestmetrics_requests_total[30s]))',
    'kafka_network_requestmetrics_totaltimems{quantile="0.999", request="Produce"}',
    'kafka_network_requestmetrics_totaltimems{quantile="0.99", request="FetchConsumer"}',
    *[f'kafka_network_requestmetrics_{phase}timems{{quantile="0.99", request="Produce"}}'
      for phase in ["requestqueue", "local", "remote", "responsequeue", "responsesend"]],
    'kafka_log_logflushstats_logflushrateandtimems{quantile="0.95"}',
    'rate(kafka_log_logflushstats_logflushrateandtimems_count[30s])',
    'histogram_quantile(0.99, sum by (le) (rate(ringlog_request_seconds_bucket{request="Produce"}[30s])))',
    '1 - kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent',
    '1 - kafka_network_socketserver_networkprocessoravgidle_percent',
    'sum(kafka_server_socket_server_metrics_connection_count)',
    *[f"sum(kafka_server_replicamanager_{name})"
      for name in ["partitioncount", "leadercount", "underreplicatedpartitions", "underminisrpartitioncount",
                   "atminisrpartitioncount", "isrshrinks_total", "isrexpands_total"]],
    "sum(kafka_cluster_partition_atminisr)",
    "sum(irate(kafka_controller_controllerstats_uncleanleaderelections_total[30s]))",
    *[f"sum(kafka_controller_kafkacontroller_{name})"
      for name in ["activecontrollercount", "globaltopiccount", "globalpartitioncount", "offlinepartitionscount",
                   "fencedbrokercount"]],
    *[f"max(kafka_server_raftmetrics_{name})" for name in ["current_leader", "current_epoch", "log_end_offset", "high_watermark"]],
    'max(kafka_server_raftmetrics_current_state) by (current_state)',
    *[f'sum(kafka_log_log_{name}) by (topic, partition)' for name in ["size", "logendoffset", "logstartoffset", "numlogsegments"]],
    'sum(rate(kafka_topic_partition_current_offset{topic!="__consumer_offsets"}[30s])) by (topic)',
    'sum(kafka_topic_partition_oldest_offset) by (partition, topic)',
    'sum(kafka_topic_partition_under_replicated_partition)',
    'sum(kafka_topic_partitions) by (topic)',
    'sum(kafka_consumergroup_lag{topic="load"}) by (consumergroup, topic) > 0',
    'sum(delta(kafka_consumergroup_current_offset[30s])) by (consumergroup, topic)',
    'kafka_brokers',
    'rate(process_cpu_seconds_total{job="ringlog"}[30s])',
    'process_resident_memory_bytes{job="ringlog"} / 1024',
    'rate(ringlog_shard_cpu_seconds_total[30s])',
]


def promtool(*arguments, text=None):
    done = subprocess.run(["promtool", *arguments], input=text, text=True, capture_output=True)
    assert done.returncode == 0, f"promtool {arguments}: {done.stdout}{done.stderr}"


def ask(query):
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    return json.load(urllib.request.urlopen(url, timeout=10))["data"]["result"]


def own_queries():
    """Of the dashboard in packaging, as Grafana asks them with all instances chosen."""
    with open(f"{packaging}/grafana/ringlog.json") as file:
        panels = json.load(file)["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    return [query.replace("$__rate_interval", "30s").replace("$instance", ".*") for query in queries]


promtool("check", "config", f"{packaging}/prometheus/prometheus.yml")
arguments = ["--override", "listeners=PLAINTEXT://127.0.0.1:0", "--override", "ringlog.http.listener=127.0.0.1:0"]
broker = subprocess.Popen([binary, *arguments], cwd=directory, text=True, stdout=subprocess.PIPE)
banner = broker.stdout.readline()
http, bootstrap = re.search(r"http://(\S+) \| PLAINTEXT://(\S+)", banner).groups()
port = free_port()
configuration = f"{directory}/prometheus.yml"
with open(configuration, "w") as file:
    file.write(f"global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: ringlog, static_configs: [{{targets: ['{http}']}}]}}]\n")
prometheus = subprocess.Popen(["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={directory}/tsdb",
                               f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"], stdout=subprocess.DEVNULL)
try:
    command = [binary, "produce", "load", "-b", bootstrap]
    subprocess.run([binary, "topic", "create", "load", "-p", "3", "-b", bootstrap], check=True, stdout=subprocess.DEVNULL)
    own = own_queries()
    left = [*QUERIES, *own]
    # Counters have a rate after two scrapes, and quantiles of what was asked before.
    for turn in range(60):
        subprocess.run(command, input=f"record {turn}\n" * 100, text=True, check=True, stdout=subprocess.DEVNULL)
        if turn == 1:
            subprocess.run(["kcat", "-b", bootstrap, "-X", "topic.auto.offset.reset=earliest", "-X", "auto.offset.reset=earliest",
                            "-G", "readers", "load", "-e", "-q"], check=True, stdout=subprocess.DEVNULL, timeout=60)
        time.sleep(1)
        if turn > 5:
            left = [query for query in left if not ask(query)]
            if not left:
                break
    assert not left, "no data for:\n" + "\n".join(left)
    promtool("check", "metrics", text=urllib.request.urlopen(f"http://{http}/metrics").read().decode())
    print(f"promtool is content, and {len(QUERIES)} queries of dashboards for Kafka and {len(own)} of Ringlog's have an answer")
finally:
    for process in [prometheus, broker]:
        process.terminate()
        process.wait(60)
