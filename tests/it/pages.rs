//! The pages beside the benchmarks, held to their word: their links lead somewhere, what they show of
//! a simulation is what it gives, and their tables have the rows of the benchmark. (Times and memory
//! are not measured here: a test that shares its machine can't.)

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use local_iot_core::Event;

use crate::support::{World, done_once, idle, quick_work, within};

#[path = "../benches/cost/line.rs"]
mod line;
#[path = "../benches/fleet/picture.rs"]
mod picture;
#[path = "../benches/fleet/simulation.rs"]
mod simulation;
#[path = "../benches/fleet/table.rs"]
mod table;

use line::{Line, Volume};
use simulation::{Fleet, Wait};

const FLEET: &str = "tests/benches/fleet/README.md";
const COST: &str = "tests/benches/cost/README.md";
const PAGES: [&str; 18] = [
    FLEET,
    COST,
    "tests/deploy/README.md",
    "tests/platforms/README.md",
    "tests/simulation/README.md",
    "tests/it/FLAGS.md",
    "tests/it/MESSAGES.md",
    "tests/course/0-provisioning.md",
    "tests/course/2-cancel-and-timeout.md",
    "tests/course/3-firmware.md",
    "tests/course/4-group.md",
    "tests/course/5-production-policy.md",
    "tests/course/6-rotation.md",
    "tests/course/7-logs.md",
    "tests/course/8-job-templates.md",
    "tests/course/9-key-in-token.md",
    "tests/course/QUESTIONS.md",
    "tests/course/exercises/README.md",
];

#[test]
fn the_links_of_the_pages_lead_somewhere() {
    for page in PAGES {
        let links = links(&read(page));
        assert!(!links.is_empty(), "{page} has no links");
        for link in links {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let file = match file {
                "" => PathBuf::from(page),
                file => Path::new(page).parent().unwrap().join(file),
            };
            assert!(root().join(&file).exists(), "{page}: there is no {link}");
            if !anchor.is_empty() {
                let anchors = anchors(&read(&file));
                assert!(
                    anchors.contains(anchor),
                    "{page}: {link} leads to no heading: {anchors:?}"
                );
            }
        }
    }
}

#[test]
fn the_fleets_table_is_what_the_simulation_gives() {
    let page = read(FLEET);
    assert!(page.contains(table::HEAD));
    for wait in Wait::ALL {
        let row = table::row(&fleet(), wait);
        assert!(page.contains(&row), "this is not on the page: {row}");
    }
}

#[test]
fn the_fleets_picture_is_what_the_benchmark_draws() {
    let drawn = picture::draw(&fleet()).unwrap();
    // Line by line: git may have given the file other line endings.
    assert!(
        drawn.lines().eq(read(picture::PATH).lines()),
        "it differs; 'cargo bench --bench fleet -- --draw' draws it anew"
    );
    assert!(drawn.len() < 64 * 1024, "{} bytes", drawn.len());
    let name = Path::new(picture::PATH).file_name().unwrap();
    assert!(links(&read(FLEET)).contains(name.to_str().unwrap()));
}

/// The fleet of the page.
fn fleet() -> Fleet {
    Fleet {
        devices: 100_000,
        outage: 60,
        connects: Some(500),
        seed: 1,
    }
}

/// A row of the page that the benchmark does not have was measured by nothing.
#[test]
fn the_rows_on_what_it_costs_are_those_of_the_benchmark() {
    let benchmark: String = std::fs::read_dir(root().join("tests/benches/cost"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(read)
        .collect();
    let page = read(COST);
    let rows = rows_below(&page, "What it costs");
    assert!(rows.len() > 15, "only {rows:?}");
    for cells in &rows {
        let name = cells[0].trim_end_matches('¹');
        assert!(benchmark.contains(name), "nothing measures '{name}'");
        // A target that is missed is marked.
        if let Some(target) = cells[1].strip_prefix("at most ") {
            let missed = number(&cells[2]) > number(target);
            assert_eq!(missed, cells[2].contains("missed"), "{cells:?}");
        }
    }
    for cells in rows_below(&page, "What it sends and receives") {
        let (name, _) = cells[0].split_once(": ").unwrap();
        let name = name.split(", keep-alive").next().unwrap();
        assert!(benchmark.contains(name), "nothing measures '{name}'");
    }
}

/// Counts are the same in a debug build and on a busy machine: these are measured anew.
#[tokio::test]
async fn the_bytes_on_the_page_are_those_on_the_line() {
    let page = read(COST);
    let told = |what: &str| -> f64 {
        let rows = rows_below(&page, "What it sends and receives");
        let cells = rows.iter().find(|cells| cells[0] == what);
        number(&cells.unwrap_or_else(|| panic!("{what} is not on the page"))[1])
    };
    // The certificates and keys of the tests are smaller than those of the benchmark (and of AWS),
    // so only what follows the handshake is compared.
    let world = World::new().await;
    let line = Line::to(world.core.port()).await.unwrap();
    let program = world.start(&["--port", &line.port.to_string()]);
    let accepted =
        |event: &Event| matches!(event, Event::Reply { topic, .. } if topic.ends_with("/accepted"));
    within(world.core.journal().wait_for(accepted)).await;
    let before = volume_when_quiet(&line).await;
    let document = serde_json::json!({ "do": 0 });
    world.core.jobs().create_job("job-0", document).unwrap();
    world.succeeds("job-0").await;
    let volume = volume_when_quiet(&line).await - before;
    program.kill().await;
    for (way, bytes) in [("sent", volume.sent), ("received", volume.received)] {
        let told = told(&format!("per job that comes while idle: {way}"));
        // A packet id or a version number may have a digit more; and on a busy machine more leaves
        // together, in a TLS record (22 bytes around it) less or two.
        let off = (bytes as f64 - told).abs();
        assert!(
            off <= told / 50.0 + 2.0 * 22.0,
            "{way}: {bytes}, and {told} on the page"
        );
    }
}

/// What AWS meters of a job that comes while the device is idle: a message is what is published, either
/// way, and what the device acknowledges.
#[tokio::test]
async fn the_messages_that_a_job_is_billed_for_are_those_on_the_page() {
    let world = World::new().await;
    let running = world.run(world.settings(), quick_work());
    idle(&running).await;
    let journal = world.core.journal();
    let before = journal.len();
    world.queue(&["job"]);
    // Who is first in line: the job, and then nobody.
    let told_who_is_next = |event: &Event| matches!(event, Event::Deliver { topic, .. } if topic.ends_with("/notify-next"));
    within(journal.wait_for_entry(before, 2, told_who_is_next)).await;
    let count = |fits: fn(&Event) -> bool| {
        let entries = journal.entries_from(before).into_iter();
        entries.filter(|entry| fits(&entry.event)).count()
    };
    let sent = count(|event| matches!(event, Event::Publish { .. }));
    let received = count(|event| matches!(event, Event::Deliver { .. }));
    let acknowledged = received; // waited for here
    let puback = |event: &Event| matches!(event, Event::DeliveryAcked { .. });
    within(journal.wait_for_entry(before, acknowledged, puback)).await;
    done_once(&world, "job", running).await;
    let told = format!(
        "{} messages ({sent} sent, {received} received, {acknowledged} PUBACKs)",
        sent + received + acknowledged
    );
    assert!(
        read(FLEET).contains(&told),
        "this is not on the page: {told}"
    );
}

/// What the line has carried when nothing has come for a while.
async fn volume_when_quiet(line: &Line) -> Volume {
    let mut before = line.volume();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = line.volume();
        if (now.sent, now.received) == (before.sent, before.received) {
            return now;
        }
        before = now;
    }
}

// How they are read.

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    let text = std::fs::read_to_string(&path);
    text.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The number that a cell begins with.
fn number(cell: &str) -> f64 {
    let digits = cell.split(' ').next().unwrap().replace(',', "");
    digits
        .parse()
        .unwrap_or_else(|_| panic!("no number: {cell}"))
}

/// The lines outside of fenced blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    page.lines().filter(move |line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

fn links(page: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = prose(page).collect();
    let text = lines.join(" ");
    let targets = text.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split(')').next())
        .map(str::to_owned)
        .collect()
}

/// The anchors that GitHub gives to the headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// The cells of the table whose head begins with this, row by row.
fn rows_below(page: &str, head: &str) -> Vec<Vec<String>> {
    let head = format!("| {head}");
    let mut lines = page.lines().skip_while(|line| !line.starts_with(&head));
    assert!(lines.next().is_some(), "there is no table with '{head}'");
    lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}
