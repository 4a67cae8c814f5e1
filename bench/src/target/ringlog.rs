//! Ringlog, and the load generator's sink.

use std::path::Path;

use super::{DATA_FOLDER, Ground, Launch, Running, Target, free_ports};
use crate::scenario::Class;

/// The broker with its defaults, one shard per core that it may use if the target says nothing else, formatted at its
/// start.
pub(super) fn start(
    target: &Target,
    class: Option<Class>,
    program: &Path,
    ground: &Ground<'_>,
    folder: &Path,
) -> anyhow::Result<Running> {
    let [port] = free_ports()?;
    let mut settings = vec![
        ("listeners".to_owned(), format!("PLAINTEXT://127.0.0.1:{port}")),
        ("log.dirs".to_owned(), folder.join(DATA_FOLDER).display().to_string()),
    ];
    settings.extend(ground.scenario.ringlog.iter().map(|(key, value)| (key.clone(), value.clone())));
    if *target == Target::RinglogOneShard {
        settings.push(("ringlog.shards".to_owned(), "1".to_owned()));
    }
    settings.extend(class.map(|class| ("ringlog.durability".to_owned(), class.name().to_owned())));
    let mut arguments = vec!["--format".to_owned()];
    for (key, value) in &settings {
        arguments.extend(["--override".to_owned(), format!("{key}={value}")]);
    }
    let running = match ground.wrapper.split_first() {
        None => run(target, ground, folder, program, arguments, port, lines(&settings)),
        Some((wrapper, first)) => {
            let wrapped = first.iter().cloned().chain([program.display().to_string()]).chain(arguments).collect();
            run(target, ground, folder, Path::new(wrapper), wrapped, port, lines(&settings))
        }
    }?;
    Ok(Running { class, ..running })
}

/// A target that keeps nothing.
pub(super) fn start_sink(ground: &Ground<'_>, folder: &Path) -> anyhow::Result<Running> {
    let [port] = free_ports()?;
    let arguments = vec![
        "sink".to_owned(),
        "--listen".to_owned(),
        format!("127.0.0.1:{port}"),
        "--core".to_owned(),
        ground.cores.first().to_string(),
    ];
    let program = &ground.programs.loadgen;
    run(&Target::Sink, ground, folder, program, arguments, port, String::new())
}

fn run(
    target: &Target,
    ground: &Ground<'_>,
    folder: &Path,
    program: &Path,
    arguments: Vec<String>,
    port: u16,
    config: String,
) -> anyhow::Result<Running> {
    let launch = Launch {
        program: program.to_owned(),
        arguments,
        cores: ground.cores.clone(),
        folder: folder.to_owned(),
        bootstrap: format!("127.0.0.1:{port}"),
    };
    Running::launch(target, launch, config)
}

fn lines(settings: &[(String, String)]) -> String {
    settings.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}
