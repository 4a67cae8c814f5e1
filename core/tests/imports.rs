//! Compares what `core` and `server` import with the table "Who may import whom" of `docs/ARCHITECTURE.md`.
//!
//! A file belongs to the folder or file directly below `src`. Counted is every `crate::`, `super::` and `ringlog_core::`
//! path outside of comments, in `use` lines and elsewhere. A module may use itself, the modules its row names, and for a
//! row that says so, everything above. `lib.rs` is a map and free.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Imports that the table does not allow and that are there; an entry goes when its import goes.
const KNOWN_DEPARTURES: &[(&str, &str)] =
    &[("server::handlers", "core::log"), ("server::handlers", "core::reactor"), ("server::handlers", "server::net")];

/// What a module may use, by full names such as `core::log`.
type Table = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug, PartialEq, Eq)]
struct Import {
    file: PathBuf,
    line: usize,
    user: String,
    used: String,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: `{}` may not use `{}`", self.file.display(), self.line, self.user, self.used)
    }
}

/// Reads the rows `| modules | may use |` below the heading. A name without a crate is of its row's crate.
fn parse_table(document: &str) -> Table {
    let (_, section) = document.split_once("## Who may import whom").expect("the document has the table");
    let section = section.split("\n## ").next().expect("split gives at least one part");
    let mut table = Table::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 2, "a row has two cells: {row}");
        let names = |cell: &str, default: &str| -> Vec<String> {
            let names = cell.split('`').skip(1).step_by(2);
            names.map(|name| if name.contains("::") { name.into() } else { format!("{default}::{name}") }).collect()
        };
        let users = names(cells[0], "server");
        let crate_name = users[0].split("::").next().expect("split gives at least one part");
        let mut used: BTreeSet<String> = names(cells[1], crate_name).into_iter().collect();
        if cells[1].contains("everything above") {
            used.extend(table.keys().cloned().chain(users.iter().cloned()));
        }
        for user in users {
            assert!(table.insert(user.clone(), used.clone()).is_none(), "`{user}` has one row");
        }
    }
    table
}

/// The imports of one file of `crate_name` that leave its module, `file` relative to `src`.
fn imports(crate_name: &str, file: &Path, source: &str) -> Vec<Import> {
    let mut parts: Vec<&str> = file.iter().map(|part| part.to_str().expect("names are ASCII")).collect();
    let name = parts.pop().expect("a file has a name").trim_end_matches(".rs");
    if name != "mod" {
        parts.push(name);
    }
    let user = format!("{crate_name}::{}", parts[0]);
    let code = without_comments(source);
    let mut found = Vec::new();
    for (prefix, target) in [("crate::", crate_name), ("ringlog_core::", "core"), ("super::", crate_name)] {
        for (at, _) in code.match_indices(prefix) {
            let before = &code[..at];
            // `$crate::`, `my_crate::`, and all but the first `super` of a chain.
            if before.ends_with(|c: char| c.is_alphanumeric() || "_$:".contains(c)) {
                continue;
            }
            let mut rest = &code[at..];
            if prefix == "super::" {
                let mut supers = 0;
                while let Some(next) = rest.strip_prefix("super::") {
                    (rest, supers) = (next, supers + 1);
                }
                // An inline module, indented, is one level deeper; deeper chains than that end in the crate too.
                let line = before.rsplit('\n').next().unwrap_or_default();
                let inline = usize::from(line.starts_with(' '));
                if supers != parts.len() + inline {
                    continue;
                }
            } else {
                rest = &rest[prefix.len()..];
            }
            for used in first_names(rest).into_iter().map(|name| format!("{target}::{name}")) {
                if used != user {
                    let line = before.matches('\n').count() + 1;
                    found.push(Import { file: file.to_path_buf(), line, user: user.clone(), used });
                }
            }
        }
    }
    found
}

/// Blanks line comments; their line ends stay.
fn without_comments(source: &str) -> String {
    let code = source.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    code.flat_map(|line| [line, "\n"]).collect()
}

/// `a::b` gives a; `{a::b, c::{d, e}}` gives a and c.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut names, mut at_start) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            c if at_start && !c.is_whitespace() => {
                names.push(name(&group[at..]));
                at_start = false;
            }
            _ => {}
        }
    }
    names
}

/// Imports of modules with a row that the user's row does not name. Names without a row are items of `lib.rs`.
fn departures<'a>(table: &Table, imports: &'a [Import]) -> Vec<&'a Import> {
    let allowed = |import: &Import| table.get(&import.user).is_some_and(|used| used.contains(&import.used));
    imports.iter().filter(|import| table.contains_key(&import.used) && !allowed(import)).collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("the sources are there");
    for path in entries.map(|entry| entry.expect("the folder can be read").path()) {
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn modules_import_only_what_the_architecture_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    let document = fs::read_to_string(root.join("docs/ARCHITECTURE.md")).expect("the document is there");
    let table = parse_table(&document);
    let mut all = Vec::new();
    let mut complaints = Vec::new();
    for crate_name in ["core", "server"] {
        let source_folder = root.join(crate_name).join("src");
        let mut files = Vec::new();
        rust_files(&source_folder, &mut files);
        files.sort();
        for path in files {
            let file = path.strip_prefix(&source_folder).expect("found below it");
            if file == Path::new("lib.rs") {
                continue;
            }
            let module = file.iter().next().and_then(|part| part.to_str()).expect("names are ASCII");
            let module = format!("{crate_name}::{}", module.trim_end_matches(".rs"));
            if !table.contains_key(&module) {
                complaints.push(format!("{crate_name}/src/{}:1: `{module}` has no row", file.display()));
            }
            let source = fs::read_to_string(&path).expect("the source is text");
            all.extend(
                imports(crate_name, file, &source)
                    .into_iter()
                    .map(|import| Import { file: Path::new(crate_name).join("src").join(&import.file), ..import }),
            );
        }
    }
    let mut unused: BTreeSet<_> = KNOWN_DEPARTURES.iter().copied().collect();
    for departure in departures(&table, &all) {
        let pair = (departure.user.as_str(), departure.used.as_str());
        if KNOWN_DEPARTURES.contains(&pair) {
            unused.remove(&pair);
        } else {
            complaints.push(departure.to_string());
        }
    }
    complaints.extend(
        unused.iter().map(|(user, used)| format!("`{user}` no longer uses `{used}`: drop the known departure")),
    );
    assert!(all.len() > 50, "the checker found the imports");
    assert!(complaints.is_empty(), "see docs/ARCHITECTURE.md, \"Who may import whom\":\n{}", complaints.join("\n"));
}

const SAMPLE_TABLE: &str = "
## Who may import whom

| module | may use |
|---|---|
| `core::ring` | |
| `core::log` | `ring` |
| `server::net` | `core::ring` |
| `server::handlers` | `net` |
| `server::broker`, `main` | everything above |

## Next
| `core::late` | |
";

fn complaints(crate_name: &str, file: &str, source: &str) -> Vec<String> {
    let imports = imports(crate_name, Path::new(file), source);
    departures(&parse_table(SAMPLE_TABLE), &imports).iter().map(ToString::to_string).collect()
}

#[test]
fn the_table_is_read_to_its_end() {
    let table = parse_table(SAMPLE_TABLE);
    assert_eq!(table.len(), 6);
    assert!(table["core::log"].contains("core::ring") && table["server::handlers"].contains("server::net"));
    assert!(table["server::main"].contains("server::broker") && table["server::main"].contains("core::log"));
}

#[test]
fn what_is_allowed_passes() {
    assert!(
        complaints("core", "log/read.rs", "use crate::ring::ring;\nuse crate::Thing;\nuse super::read;\n").is_empty()
    );
    assert!(complaints("server", "main.rs", "use ringlog_core::log::Log;\nuse crate::broker;\n").is_empty());
}

#[test]
fn a_bad_import_is_found_with_file_and_line() {
    let bad = "//! use crate::log::No;\nuse std::fmt;\nuse crate::log::Log;\n";
    assert_eq!(complaints("core", "ring/spsc.rs", bad), ["ring/spsc.rs:3: `core::ring` may not use `core::log`"]);
}

#[test]
fn groups_inner_paths_and_supers_are_looked_through() {
    let group = "use ringlog_core::{\n    ring::ring,\n    log::{Log, Other},\n};\n";
    assert_eq!(complaints("server", "net/mod.rs", group), ["net/mod.rs:1: `server::net` may not use `core::log`"]);
    let inner = "fn f() {\n    crate::handlers::call();\n}\n";
    assert_eq!(complaints("server", "net/a.rs", inner), ["net/a.rs:2: `server::net` may not use `server::handlers`"]);
    let supers = "use super::super::log::Log;\n";
    assert_eq!(complaints("core", "ring/a.rs", supers), ["ring/a.rs:1: `core::ring` may not use `core::log`"]);
    assert!(complaints("core", "ring/a.rs", "use super::log::Log;\n").is_empty(), "a file of its own");
}
