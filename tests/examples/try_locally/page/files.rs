//! The files that the page consists of.

pub const HTML: &str = include_str!("chart.html");
pub const CSS: &str = include_str!("chart.css");
pub const ICON: &str = include_str!("icon.svg");

/// The scripts, in the order in which they run.
pub const SCRIPTS: &[(&str, &str)] = &[
    ("text.js", include_str!("text.js")),
    ("chart.js", include_str!("chart.js")),
    ("row.js", include_str!("row.js")),
    ("details.js", include_str!("details.js")),
    ("jobs.js", include_str!("jobs.js")),
    ("faults.js", include_str!("faults.js")),
    ("service.js", include_str!("service.js")),
    ("page.js", include_str!("page.js")),
];
