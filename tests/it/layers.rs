//! The layers of `src/`: no files import one another in a circle, and no layer knows one that it should
//! not. What counts is each path that is written: `use`, and `crate::…`, `super::…` or `child::…` in the
//! code. A folder's `mod.rs` is its face: `pub use child::Name` hands a name on, and whoever imports that
//! name from the face (the face itself, too) imports the child.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

/// Which of the others each module may know. A row names only rows above it, so there is no way back.
const LAYERS: [(&str, &[&str]); 12] = [
    ("text", &[]),
    ("error_class", &[]),
    ("stop", &[]),
    ("cli", &["text"]),
    ("tls", &["text", "error_class"]),
    ("mqtt", &["text", "error_class", "tls"]),
    ("jobs", &["text", "error_class", "mqtt"]),
    ("agent", &["text", "error_class", "mqtt", "jobs"]),
    ("output", &["text"]),
    ("log", &["text", "cli", "output"]),
    (
        "sample",
        &[
            "text",
            "error_class",
            "cli",
            "tls",
            "mqtt",
            "jobs",
            "agent",
            "output",
        ],
    ),
    (
        "program",
        &["stop", "cli", "agent", "output", "log", "sample"],
    ),
];

type Module = Vec<String>;

/// For each module (`["mqtt", "wire"]`; a `mod.rs` is `["mqtt"]`), its source without tests and comments.
type Sources = BTreeMap<Module, String>;

/// Which file imports which.
type Imports = BTreeSet<(Module, Module)>;

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

fn code(text: &str) -> String {
    let program = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let lines = program.lines().map(|line| match line.find("//") {
        Some(at) => &line[..at],
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn is_in_a_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
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

fn imports(sources: &Sources) -> Imports {
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

/// For each file that imports itself by way of others, the shortest such way; each circle once.
fn circles(imports: &Imports) -> BTreeSet<String> {
    let mut circles = BTreeMap::new();
    for start in imports.iter().map(|(from, _)| from) {
        let mut ways = VecDeque::from([vec![start]]);
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop_front() {
            let last = *way.last().unwrap();
            for (_, to) in imports.iter().filter(|(from, _)| from == last) {
                if to == start {
                    let members: BTreeSet<_> = way.iter().copied().collect();
                    let names: Vec<_> = way.iter().map(|module| module.join("::")).collect();
                    circles.entry(members).or_insert(names.join(" > "));
                } else if seen.insert(to) {
                    ways.push_back([&way[..], &[to]].concat());
                }
            }
        }
    }
    circles.into_values().collect()
}

/// What imports something that its layer should not know.
fn out_of_order(imports: &Imports) -> Vec<String> {
    let wrong = imports.iter().filter(|(from, to)| {
        let (Some(from), Some(to)) = (from.first(), to.first()) else {
            return !from.is_empty(); // the root has every module; none has the root
        };
        let mut rows = LAYERS.iter();
        let row = rows.find(|(layer, _)| layer == from);
        from != to && !row.is_some_and(|(_, knows)| knows.contains(&to.as_str()))
    });
    wrong
        .map(|(from, to)| format!("{} imports {}", from.join("::"), to.join("::")))
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
fn no_files_import_one_another() {
    let imports = imports(&ours());
    assert!(imports.len() > 250, "only {} imports", imports.len());
    assert_eq!(circles(&imports), BTreeSet::new());
}

#[test]
fn no_layer_knows_one_that_it_should_not() {
    for (nth, (layer, knows)) in LAYERS.iter().enumerate() {
        for known in *knows {
            let above = LAYERS[..nth].iter().any(|(above, _)| above == known);
            assert!(above, "{layer} knows {known}, which is not above it");
        }
    }
    let all = ours();
    let tops: BTreeSet<_> = all.keys().filter_map(|module| module.first()).collect();
    let rows = LAYERS.map(|(layer, _)| layer.to_owned());
    assert_eq!(tops, rows.iter().collect(), "each module has its row");
    assert_eq!(out_of_order(&imports(&all)), [""; 0]);
}

#[test]
fn the_two_tests_find_what_they_look_for() {
    let circles_of = |files: &[(&str, &str)]| -> Vec<String> {
        let sources = files.iter().map(|(path, text)| {
            let parts = path.split("::").filter(|part| !part.is_empty());
            (parts.map(str::to_owned).collect(), code(text))
        });
        circles(&imports(&sources.collect())).into_iter().collect()
    };
    let a_b = [
        ("m", "mod a;\nmod b;\npub use b::B;"),
        (
            "m::a",
            "use super::{x, b::{self, B as C}};\n// crate::jobs::No",
        ),
        ("m::b", "fn f() { crate::m::a::g(); }"),
    ];
    assert_eq!(circles_of(&a_b), ["m::a > m::b"]);
    let a_b_c = [
        ("m", "mod a; mod b; mod c;"),
        ("m::a", "use super::b::B;"),
        ("m::b", "use super::c::C;"),
        ("m::c", "use super::a::A;"),
    ];
    assert_eq!(circles_of(&a_b_c), ["m::a > m::b > m::c"]);
    // A face and a child, however the face writes it.
    for face in [
        "mod a;\nuse a::A;",
        "mod a;\nuse a::{\n    A,\n    B,\n};",
        "mod a;\nuse self::a::A;",
        "mod a;\nfn f() -> a::A { a::g() }",
        "mod a;\npub use a::A;\nfn f() -> A { A }",
    ] {
        let both = [("m", face), ("m::a", "use super::Face;")];
        assert_eq!(circles_of(&both), ["m > m::a"], "{face}");
    }
    // What is only handed on is no import; but whoever takes it from the face imports the child.
    let handed_on = [("m", "mod a;\npub use a::A;"), ("m::a", "use super::Face;")];
    assert_eq!(circles_of(&handed_on), [""; 0]);
    let through_the_face = [
        ("m", "mod a;\nmod b;\npub use a::A;\npub use b::B;"),
        ("m::a", "use super::B;"),
        ("m::b", "use crate::m::A;"),
    ];
    assert_eq!(circles_of(&through_the_face), ["m::a > m::b"]);
    // A file that hands on what is beside it imports it.
    let beside = [
        ("m", "mod a; mod b;"),
        ("m::a", "pub use super::b::B;"),
        ("m::b", "use super::a::A;"),
    ];
    assert_eq!(circles_of(&beside), ["m::a > m::b"]);

    let import = |from: &str, to: &str| (vec![from.to_owned()], vec![to.to_owned()]);
    let wrong = [
        ("mqtt", "jobs"),
        ("tls", "cli"),
        ("output", "sample"),
        ("text", "log"),
    ];
    for (from, to) in wrong {
        let imports = Imports::from([import(from, to), import("agent", "jobs")]);
        assert_eq!(out_of_order(&imports), [format!("{from} imports {to}")]);
    }
}
