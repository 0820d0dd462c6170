//! The layers of `src/`: no files import one another in a circle, and no layer knows one that it should not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

mod imports;

use imports::{Imports, Sources, code, imports, sources};

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
