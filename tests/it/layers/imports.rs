//! Which file of `src/` imports which. What counts is each path that is written: `use`, and `crate::…`,
//! `super::…` or `child::…` in the code. A folder's `mod.rs` is its face: `pub use child::Name` hands a name
//! on, and whoever imports that name from the face (the face itself, too) imports the child.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub(super) type Module = Vec<String>;

/// For each module (`["mqtt", "wire"]`; a `mod.rs` is `["mqtt"]`), its source without tests and comments.
pub(super) type Sources = BTreeMap<Module, String>;

/// Which file imports which.
pub(super) type Imports = BTreeSet<(Module, Module)>;

pub(super) fn sources(folder: &Path, module: &[String], sources: &mut Sources) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut inner = module.to_vec();
        if !["mod", "lib", "main"].contains(&name.as_str()) {
            inner.push(name.clone());
        }
        if path.is_dir() {
            self::sources(&path, &inner, sources);
        } else if path.extension().is_some_and(|end| end == "rs")
            && name != "main"
            && name != "tests"
            && inner != ["work"]
        {
            // (The program's own two files stand outside the library.)
            let text = std::fs::read_to_string(&path).unwrap();
            sources.insert(inner, code(&text));
        }
    }
}

pub(super) fn code(text: &str) -> String {
    let program = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let lines = program.lines().map(|line| match line.find("//") {
        Some(at) => &line[..at],
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) fn imports(sources: &Sources) -> Imports {
    let mut imports = Imports::new();
    for (module, code) in sources {
        let mut all = paths(module, code, &children(sources, module));
        // A face that works with what it hands on.
        for (name, from) in handed_on(sources, module) {
            let words = code.split(|c| !is_in_a_name(c));
            if words.filter(|word| **word == name).count() > 1 {
                all.push(from);
            }
        }
        for path in all {
            if let Some(file) = file_of(sources, &path)
                && file != *module
            {
                imports.insert((module.clone(), file));
            }
        }
    }
    imports
}

/// The file that a path leads to, through all faces that hand its name on.
fn file_of(sources: &Sources, path: &[String]) -> Option<Module> {
    let ends = (0..=path.len()).rev();
    let end = ends
        .into_iter()
        .find(|end| sources.contains_key(&path[..*end]))?;
    let (file, rest) = path.split_at(end);
    let name = rest.first();
    let handed_on = handed_on(sources, file).into_iter();
    match handed_on
        .into_iter()
        .find(|(handed, _)| Some(handed) == name)
    {
        Some((_, from)) => file_of(sources, &from),
        None => Some(file.to_vec()),
    }
}

/// Each path of a file, from the root: with `super` counted off, and braces multiplied out. What a face
/// hands on by `pub use` is not among them.
fn paths(module: &[String], code: &str, children: &[&str]) -> Vec<Module> {
    let mut found = Vec::new();
    for first in ["crate", "super"].iter().chain(children) {
        for at in starts(code, first) {
            let mut all = Vec::new();
            multiply(&code[at..], &[], &mut all);
            if !children.contains(first) || !hands_on(&code[..at]) {
                found.extend(all.into_iter().map(|path| from_root(module, &path)));
            }
        }
    }
    found
}

/// Where a path begins with this module (`wire::…`, `self::wire::…`), and not in the middle of another.
fn starts<'a>(code: &'a str, first: &'a str) -> impl Iterator<Item = usize> + 'a {
    let found = code.match_indices(first).map(|(at, _)| at);
    found.filter(move |at| {
        let before = code[..*at].strip_suffix("self::").unwrap_or(&code[..*at]);
        code[at + first.len()..].starts_with("::")
            && !before.ends_with(is_in_a_name)
            && !before.ends_with("::")
    })
}

fn is_in_a_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether what comes after this is handed on.
fn hands_on(before: &str) -> bool {
    let statement = before.rsplit([';', '}']).next().unwrap().trim();
    let statement = statement.trim_end_matches("self::").trim_end();
    statement.starts_with("pub") && statement.ends_with("use")
}

fn from_root(module: &[String], path: &[String]) -> Module {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let base = match path[0].as_str() {
        "crate" => &[],
        _ => &module[..module.len().saturating_sub(ups)],
    };
    let names = path
        .iter()
        .filter(|part| !["crate", "super", "self"].contains(&part.as_str()));
    base.iter().chain(names).cloned().collect()
}

/// The modules right inside of this one.
fn children<'a>(sources: &'a Sources, module: &[String]) -> Vec<&'a str> {
    let inside = sources
        .keys()
        .filter(|inner| inner.len() == module.len() + 1 && inner.starts_with(module));
    inside.map(|inner| inner.last().unwrap().as_str()).collect()
}

/// The names that a face hands on: name and where it is from.
fn handed_on(sources: &Sources, module: &[String]) -> Vec<(String, Module)> {
    let code = &sources[module];
    let mut found = Vec::new();
    for child in children(sources, module) {
        for at in starts(code, child).filter(|at| hands_on(&code[..*at])) {
            multiply(&code[at..], &[], &mut found);
        }
    }
    found
        .into_iter()
        .map(|path| (path.last().unwrap().clone(), from_root(module, &path)))
        .collect()
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
