//! The table: a row for each measure, a column for each program.

use std::fmt;

use crate::process::Program;

/// What is measured, or the reason why it could not be.
pub type Measured = Result<f64, String>;

/// What a figure counts, and so how it is written.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    RoundTrips,
    Milliseconds,
    Seconds,
    /// Shown in millions of bytes, and put in as bytes.
    Megabytes,
    Bytes,
    Count,
}

impl Unit {
    fn show(self, figure: f64) -> String {
        match self {
            Self::RoundTrips => format!("{figure:.2} round trips"),
            Self::Milliseconds => format!("{figure:.2} ms"),
            Self::Seconds => format!("{figure:.1} s"),
            Self::Megabytes => format!("{:.2} MB", figure / 1e6),
            Self::Bytes => format!("{} B", thousands(figure.round() as u64)),
            Self::Count => format!("{figure:.1}"),
        }
    }
}

/// One measure of every program.
pub struct Row {
    what: String,
    unit: Unit,
    at_most: Option<f64>,
    cells: Vec<Measured>,
}

impl Row {
    pub fn new(what: impl Into<String>, unit: Unit) -> Self {
        Self {
            what: what.into(),
            unit,
            at_most: None,
            cells: Vec::new(),
        }
    }

    /// The target, in the unit as it is shown.
    pub fn at_most(mut self, target: f64) -> Self {
        let of_one = match self.unit {
            Unit::Megabytes => 1e6,
            _ => 1.0,
        };
        self.at_most = Some(target * of_one);
        self
    }

    /// The figure of the next program.
    pub fn put(&mut self, measured: Measured) {
        self.cells.push(measured);
    }

    fn target(&self) -> String {
        let at_most = |target| format!("at most {}", self.unit.show(target));
        self.at_most.map_or_else(String::new, at_most)
    }

    /// A cell as it is shown. Only the first program, our own, has targets to miss.
    fn cell(&self, column: usize) -> String {
        match self.cells.get(column) {
            Some(Ok(figure)) => {
                let missed = column == 0 && self.at_most.is_some_and(|target| *figure > target);
                let mark = if missed { ", **missed**" } else { "" };
                format!("{}{mark}", self.unit.show(*figure))
            }
            Some(Err(_)) => "n/a".to_owned(),
            None => "-".to_owned(),
        }
    }
}

/// All measures of all programs.
pub struct Table {
    title: &'static str,
    programs: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    pub fn new(title: &'static str, programs: &[Program]) -> Self {
        Self {
            title,
            programs: programs
                .iter()
                .map(|program| program.name.clone())
                .collect(),
            rows: Vec::new(),
        }
    }

    pub fn extend(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows.extend(rows);
    }

    /// Whether any row has a target.
    fn has_targets(&self) -> bool {
        self.rows.iter().any(|row| row.at_most.is_some())
    }

    fn header(&self) -> Vec<String> {
        let target = self.has_targets().then_some("target");
        let names = self.programs.iter().map(String::as_str);
        let cells = [self.title].into_iter().chain(target).chain(names);
        cells.map(str::to_owned).collect()
    }

    fn line(&self, row: &Row) -> Vec<String> {
        let target = self.has_targets().then(|| row.target());
        let cells = (0..self.programs.len()).map(|column| row.cell(column));
        [row.what.clone()]
            .into_iter()
            .chain(target)
            .chain(cells)
            .collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![self.header()];
        lines.extend(self.rows.iter().map(|row| self.line(row)));
        write_aligned(f, &lines)?;
        for row in &self.rows {
            for (program, cell) in self.programs.iter().zip(&row.cells) {
                if let Err(why) = cell {
                    writeln!(f, "n/a: {}, {program}: {why}", row.what)?;
                }
            }
        }
        Ok(())
    }
}

/// Writes lines of cells as a Markdown table whose columns are aligned; the first line is its head.
pub fn write_aligned(f: &mut fmt::Formatter<'_>, lines: &[Vec<String>]) -> fmt::Result {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    for (number, line) in lines.iter().enumerate() {
        let padded = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(f, "| {} |", padded.collect::<Vec<_>>().join(" | "))?;
        if number == 0 {
            let rules = widths.iter().map(|width| "-".repeat(width + 2));
            writeln!(f, "|{}|", rules.collect::<Vec<_>>().join("|"))?;
        }
    }
    Ok(())
}

/// A number with commas between the thousands.
fn thousands(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1_000), number % 1_000),
    }
}
