//! The public interface of the library, by name: a list beside this file says what it was. Whoever changes
//! it sees so here, and raises the version as `src/lib.rs` promises.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What is meant to stay.
const MODULES: [&str; 4] = ["agent", "jobs", "mqtt", "tls"];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    });
    files.filter(|path| !path.ends_with("tests.rs")).collect()
}

fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("\n#[cfg(test)]\n").next().unwrap().to_owned()
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty())
}

/// What a module hands on by `pub use`, and what its own file has.
fn handed_on(face: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for statement in face.split(';') {
        if let Some(at) = statement.find("\npub use ") {
            let path = &statement[at + 9..];
            let last = path.rsplit_once("::").map_or(path, |(_, last)| last);
            let listed = path.split_once('{').map_or(last, |(_, listed)| listed);
            all.extend(names(listed).map(str::to_owned));
        }
    }
    for line in face.lines().filter(|line| line.starts_with("pub ")) {
        let mut words = names(line).skip(1);
        let kind = words.next().unwrap();
        let name = if kind == "async" {
            words.nth(1)
        } else {
            words.next()
        };
        if !["use", "mod"].contains(&kind) {
            all.extend(name.map(str::to_owned));
        }
    }
    all
}

/// Fields, variants and methods of this type, where the code defines it or implements something on it.
fn members(code: &str, name: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let head: Vec<&str> = names(line).collect();
        let is_impl = line.starts_with("impl") && !line.contains(" for ");
        let is_type = ["struct", "enum"].iter().any(|kind| head.contains(kind));
        if line.starts_with([' ', '}', '/', '#']) || !head.contains(&name) || !line.ends_with('{') {
            continue;
        }
        let is_enum = is_type && head.contains(&"enum");
        for line in lines.by_ref().take_while(|line| *line != "}") {
            let item = line.strip_prefix("    ").unwrap_or_default();
            let of_item = if is_enum {
                item
            } else {
                item.strip_prefix("pub ").unwrap_or_default()
            };
            if of_item.is_empty()
                || !of_item.starts_with(char::is_alphabetic)
                || !(is_impl || is_type)
            {
                continue;
            }
            let words = names(of_item).filter(|word| !["async", "const", "fn"].contains(word));
            all.extend(words.take(1).map(|member| format!("{name}::{member}")));
        }
    }
    all
}

fn interface() -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = BTreeSet::new();
    for module in MODULES {
        let folder = source.join(module);
        let code: String = files(&folder).iter().map(|path| code(path)).collect();
        for name in handed_on(&self::code(&folder.join("mod.rs"))) {
            let members = members(&code, &name);
            all.extend(members.iter().map(|member| format!("{module}::{member}")));
            all.insert(format!("{module}::{name}"));
        }
    }
    all.into_iter().map(|item| item + "\n").collect()
}

#[test]
fn the_interface_is_as_it_was() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/interface.txt");
    let (was, is) = (fs::read_to_string(&list).unwrap_or_default(), interface());
    let changed = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interface.txt");
    fs::write(&changed, &is).unwrap();
    assert!(
        was == is,
        "the interface has changed: raise the version, and copy {} to {}",
        changed.display(),
        list.display()
    );
    for item in [
        "agent::Agent::run",
        "mqtt::Event::Overflow",
        "jobs::Options::max_tries",
    ] {
        assert!(is.lines().any(|line| line == item), "{item} is not found");
    }
    assert!(is.lines().count() > 250, "{}", is.lines().count());
}
