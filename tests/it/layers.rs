//! The layers of `src/`: no two files import each other, and no layer knows one to its right. What counts
//! is each path that is written: `use`, and `crate::…` or `super::…` in the code. A folder's `mod.rs` is
//! its face: what it hands on by `pub use` is no import of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// From left to right, as the README's picture has them.
const LAYERS: [&[&str]; 5] = [
    &["cli", "tls"],
    &["mqtt"],
    &["jobs"],
    &["agent"],
    &["sample", "advice", "program"],
];

/// For each module (`["mqtt", "wire"]`; a `mod.rs` is `["mqtt"]`), its source without tests and comments.
type Sources = BTreeMap<Vec<String>, String>;

fn sources(folder: &Path, module: &[String], sources: &mut Sources) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut inner = module.to_vec();
        if !["mod", "lib", "main"].contains(&name.as_str()) {
            inner.push(name.clone());
        }
        if path.is_dir() {
            self::sources(&path, &inner, sources);
        } else if name != "main" && inner != ["work"] {
            // (The program's own two files stand outside the library.)
            let text = std::fs::read_to_string(&path).unwrap();
            sources.insert(inner, code(&text));
        }
    }
}

fn code(text: &str) -> String {
    let program = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let lines = program.lines().map(|line| match line.find("//") {
        Some(at) => &line[..at],
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Each path that begins with `crate::` or `super::`, with its braces multiplied out. `pub use` is left
/// out where it only hands on.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = &code[..at];
            let is_inner = before.ends_with("super::") || before.ends_with("crate::");
            let line = before.rsplit(['\n', ';', '}']).next().unwrap().trim_start();
            let hands_on = line.starts_with("pub use") || line.starts_with("pub(crate) use");
            if !is_inner && !hands_on {
                multiply(&code[at..], &[], &mut found);
            }
        }
    }
    found
}

/// Reads a path such as `a::{b, c::D}`, and returns what follows it.
fn multiply<'a>(text: &'a str, before: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let mut path = before.to_vec();
    let mut rest = text.trim_start();
    loop {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*');
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        if !name.is_empty() {
            path.push(name.to_owned());
        }
        match after.strip_prefix("::") {
            Some(next) if next.starts_with('{') => {
                let mut inner = &next[1..];
                loop {
                    inner = multiply(inner, &path, found).trim_start();
                    match inner.chars().next() {
                        Some(',') => inner = inner[1..].trim_start(),
                        Some('}') => return &inner[1..],
                        _ => return inner,
                    }
                    if let Some(after) = inner.strip_prefix('}') {
                        return after;
                    }
                }
            }
            Some(next) => rest = next,
            None => {
                found.push(path);
                let renamed = after.trim_start().strip_prefix("as ");
                return renamed.map_or(after, |renamed| {
                    renamed.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
                });
            }
        }
    }
}

/// Which file imports which.
fn imports(sources: &Sources) -> BTreeSet<(Vec<String>, Vec<String>)> {
    let mut imports = BTreeSet::new();
    for (module, code) in sources {
        let mut all = paths(code);
        // A face that works with what is inside imports it: `use wire::Wire;` in mqtt/mod.rs.
        for line in code.lines().filter_map(|line| line.strip_prefix("use ")) {
            let mut inner = Vec::new();
            multiply(line, module, &mut inner);
            all.extend(
                inner
                    .into_iter()
                    .map(|path| [vec!["crate".to_owned()], path].concat()),
            );
        }
        for path in all {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let base = match path[0].as_str() {
                "crate" => Vec::new(),
                _ => module[..module.len().saturating_sub(ups)].to_vec(),
            };
            let names = path
                .iter()
                .filter(|part| !["crate", "super"].contains(&part.as_str()));
            let whole: Vec<String> = base.into_iter().chain(names.cloned()).collect();
            let file = (0..=whole.len()).rev().map(|end| &whole[..end]);
            if let Some(file) = file.into_iter().find(|file| sources.contains_key(*file))
                && file != module
            {
                imports.insert((module.clone(), file.to_vec()));
            }
        }
    }
    imports
}

fn mutual(imports: &BTreeSet<(Vec<String>, Vec<String>)>) -> Vec<String> {
    let back = |(from, to): &&(Vec<String>, Vec<String>)| {
        from < to && imports.contains(&(to.clone(), from.clone()))
    };
    let both = imports.iter().filter(back);
    both.map(|(from, to)| format!("{} and {}", from.join("::"), to.join("::")))
        .collect()
}

fn layer(module: &[String]) -> Option<usize> {
    let first = module.first()?.as_str();
    LAYERS.iter().position(|layer| layer.contains(&first))
}

fn backward(imports: &BTreeSet<(Vec<String>, Vec<String>)>) -> Vec<String> {
    let knows_more = |(from, to): &&(Vec<String>, Vec<String>)| matches!((layer(from), layer(to)), (Some(from), Some(to)) if to > from);
    let all = imports.iter().filter(knows_more);
    all.map(|(from, to)| format!("{} imports {}", from.join("::"), to.join("::")))
        .collect()
}

fn ours() -> Sources {
    let mut all = Sources::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&root, &[], &mut all);
    assert!(all.len() > 50, "{} files", all.len());
    all
}

#[test]
fn no_two_files_import_each_other() {
    let imports = imports(&ours());
    assert!(imports.len() > 150, "only {} imports", imports.len());
    assert_eq!(mutual(&imports), [""; 0]);
}

#[test]
fn no_layer_knows_one_to_its_right() {
    assert_eq!(backward(&imports(&ours())), [""; 0]);
}

#[test]
fn the_two_tests_find_what_they_look_for() {
    let source = |path: &[&str], text: &str| {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        (path, code(text))
    };
    let knot = Sources::from([
        source(&["mqtt"], "mod a;\nmod b;\npub use b::B;\nuse a::A;"),
        source(
            &["mqtt", "a"],
            "use super::{x, b::{self, B as C}};\n// crate::jobs::No",
        ),
        source(
            &["mqtt", "b"],
            "fn f() { crate::mqtt::a::g(); crate::jobs::h() }",
        ),
        source(&["jobs"], ""),
    ]);
    let imports = imports(&knot);
    assert_eq!(
        mutual(&imports),
        ["mqtt and mqtt::a", "mqtt::a and mqtt::b"]
    );
    assert_eq!(backward(&imports), ["mqtt::b imports jobs"]);
}
