//! Flags of `kafka-consumer-perf-test` (Kafka's `ConsumerPerformance`), so that its command lines work for `fetch`.
//!
//! Each of its flags is followed, ignored with a warning where what is read stays the same, or refused with what to use
//! instead: none is unknown.

use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::{Fetch, PropertyError};
use crate::run::End;

const ONE_TOPIC: &str = "one topic is read: name it with --topic";
const NO_FILE: &str = "no file of properties is read: give those that are needed with --command-property";
const DATES: &str = "dates are written as yyyy-MM-dd HH:mm:ss:SSS, in UTC";

/// Flags that have another meaning or name here, or none.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "As in kafka-consumer-perf-test")]
pub struct KafkaConsumerFlags {
    /// End after so many records, all of them measured, instead of after a time
    #[arg(
        long,
        alias = "messages",
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..),
    )]
    pub num_records: Option<u64>,
    /// Or when none has come for so many milliseconds, which with --requests is an error
    #[arg(long, value_name = "MS", requires = "counted", default_value_t = 10_000)]
    pub timeout: u64,
    /// Consumer properties: fetch.min.bytes and fetch.max.wait.ms are used, what that tool sets itself and client.id
    /// have no meaning here; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub command_property: Vec<String>,
    /// Print the result line of that tool
    #[arg(long)]
    pub kafka_style: bool,
    /// Without the names of its columns
    #[arg(long, requires = "kafka_style")]
    pub hide_header: bool,
    /// Ignored: there is no group
    #[arg(long, value_name = "ID")]
    pub group: Option<String>,
    /// Ignored: the kernel sizes the buffer
    #[arg(long, value_name = "BYTES")]
    pub socket_buffer_size: Option<u64>,
    /// Ignored: --json has all figures
    #[arg(long)]
    pub print_metrics: bool,
    /// Ignored: --csv has the run over time
    #[arg(long)]
    pub show_detailed_stats: bool,
    /// Ignored: --interval is the length of an interval of --csv
    #[arg(long, value_name = "MS")]
    pub reporting_interval: Option<u64>,
    /// Refused
    #[arg(long, hide = true, value_parser = refuse(ONE_TOPIC))]
    include: Option<Infallible>,
    /// Refused
    #[arg(long, alias = "consumer.config", hide = true, value_parser = refuse(NO_FILE))]
    command_config: Option<Infallible>,
    /// Refused
    #[arg(long, hide = true, value_parser = refuse(DATES))]
    date_format: Option<Infallible>,
}

fn refuse(instead: &'static str) -> impl Fn(&str) -> Result<Infallible, &'static str> + Clone {
    move |_| Err(instead)
}

impl KafkaConsumerFlags {
    /// One sentence for each flag that was given and does nothing.
    pub fn ignored(&self) -> Vec<&'static str> {
        let flags = [
            (self.group.is_some(), "--group is ignored: no group is joined; `ringlog-loadgen group` measures those"),
            (
                self.socket_buffer_size.is_some(),
                "--socket-buffer-size is ignored: the kernel sizes the buffer (net.ipv4.tcp_rmem)",
            ),
            (self.print_metrics, "--print-metrics is ignored: --json FILE has all figures"),
            (self.show_detailed_stats, "--show-detailed-stats is ignored: --csv FILE has the run over time"),
            (
                self.reporting_interval.is_some(),
                "--reporting-interval is ignored: --interval is the length of an interval of --csv",
            ),
        ];
        flags.into_iter().filter_map(|(is_given, text)| is_given.then_some(text)).collect()
    }
}

impl Fetch {
    /// What ends the run.
    pub fn end(&self) -> End {
        let silence_max = Duration::from_millis(self.kafka.timeout);
        match (self.requests, self.kafka.num_records) {
            (Some(count), _) => End::Requests { count, silence_max },
            (None, Some(count)) => End::Records { count, silence_max },
            (None, None) => End::Time,
        }
    }

    /// Applies the properties.
    pub fn apply_properties(&mut self) -> Result<(), PropertyError> {
        for property in &self.kafka.command_property {
            let (name, value) = property.split_once('=').ok_or_else(|| PropertyError::Form(property.clone()))?;
            match name {
                "fetch.min.bytes" => self.min_bytes = number(name, value)?,
                "fetch.max.wait.ms" => self.max_wait = Duration::from_millis(number(name, value)?),
                "auto.offset.reset"
                | "bootstrap.servers"
                | "check.crcs"
                | "client.id"
                | "group.id"
                | "key.deserializer"
                | "max.partition.fetch.bytes"
                | "receive.buffer.bytes"
                | "value.deserializer" => {}
                _ => return Err(PropertyError::Unknown(name.to_owned())),
            }
        }
        Ok(())
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, PropertyError> {
    value.parse().map_err(|_| PropertyError::Value { name: name.to_owned(), value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::workload::FetchMode;
    use clap::Parser;

    fn fetch(flags: &str) -> Result<Fetch, clap::Error> {
        let typed = format!("ringlog-loadgen fetch --bootstrap-server h:1 {flags}");
        Cli::try_parse_from(typed.split(' ')).map(|cli| match cli.command {
            Command::Fetch(fetch) => *fetch,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_command_line_of_kafka_consumer_perf_test_is_understood() {
        for count in ["--num-records", "--messages"] {
            let mut flags = fetch(&format!(
                "--topic t {count} 1000 --timeout 700 --from-latest --fetch-size 5000 --kafka-style --hide-header \
                 --command-property client.id=c --command-property fetch.min.bytes=7 --command-property fetch.max.wait.ms=9"
            ))
            .expect("well formed");
            flags.apply_properties().expect("known properties");
            let spec = flags.spec();
            assert_eq!((spec.mode, spec.max_bytes, spec.min_bytes), (FetchMode::Tail, 5_000, 7));
            assert_eq!(spec.max_wait, Duration::from_millis(9));
            assert_eq!(flags.end(), End::Records { count: 1_000, silence_max: Duration::from_millis(700) });
            assert_eq!(flags.kafka.ignored(), [""; 0]);
            flags.kafka.command_property.push("no.such=1".to_owned());
            assert!(flags.apply_properties().is_err());
        }
    }

    #[test]
    fn what_does_nothing_is_told() {
        let flags = "--group g --socket-buffer-size 5 --print-metrics --show-detailed-stats --reporting-interval 5000";
        let ignored = fetch(&format!("--topic t {flags}")).expect("well formed").kafka.ignored();
        let named: Vec<&str> = ignored.iter().filter_map(|text| text.split(' ').next()).collect();
        let given: Vec<&str> = flags.split(' ').filter(|word| word.starts_with("--")).collect();
        assert_eq!(named, given);
    }

    #[test]
    fn what_would_change_what_is_read_or_printed_is_refused_with_what_to_use() {
        for (flag, instead) in [
            ("--include t.*", "--topic"),
            ("--topic t --consumer.config f", "--command-property"),
            ("--topic t --command-config f", "--command-property"),
            ("--topic t --date-format yyyy", "UTC"),
            ("--topic t --hide-header", "--kafka-style"),
            ("--topic t --timeout 5", "--num-records"),
        ] {
            let text = fetch(flag).expect_err(flag).to_string();
            assert!(text.contains(instead), "{flag}: {text}");
        }
    }
}
