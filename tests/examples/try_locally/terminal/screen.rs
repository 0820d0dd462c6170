//! How what happens is shown in a terminal: a line each.

use std::io::{self, IsTerminal};

use jobs_mqtt5::text::cut;

use super::super::chart::{Kind, Moment};

/// The most characters of a line.
pub const LONGEST: usize = 160;

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Nothing.
    Quiet,
    /// Each message, what became of jobs, and what went wrong.
    Brief,
    /// Also what each connection takes: TCP, TLS, acknowledgements, the keep-alive.
    All,
}

/// How lines are shown.
pub struct Screen {
    pub colored: bool,
    pub level: Level,
}

impl Screen {
    /// In color if stdout is a terminal that has colors, and nobody has set `NO_COLOR`.
    pub fn new() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|name| name == "dumb");
        Self {
            colored: io::stdout().is_terminal() && !unwanted && !is_dumb,
            level: Level::Brief,
        }
    }

    /// Turns `level` on, or off if it is on. Returns what that means.
    pub fn toggle(&mut self, level: Level) -> &'static str {
        self.level = if self.level == level {
            Level::Brief
        } else {
            level
        };
        match self.level {
            Level::Quiet => "quiet; `quiet` again shows what happens",
            Level::Brief => "each message is shown",
            Level::All => "all that happens is shown; `verbose` again shows less",
        }
    }

    /// What is shown of this, if anything.
    pub fn line(&self, moment: &Moment) -> Option<String> {
        let is_detail = matches!(moment.kind, Kind::Ack | Kind::Ping | Kind::Open)
            || moment.label.starts_with("TLS 1");
        let is_shown = match self.level {
            Level::Quiet => false,
            // A command stands there already, and its answer too.
            _ if moment.kind == Kind::Command => false,
            Level::Brief => !is_detail || moment.bad,
            Level::All => true,
        };
        is_shown.then(|| self.painted(moment))
    }

    fn painted(&self, moment: &Moment) -> String {
        let line = moment.line();
        let line = cut(&line, LONGEST);
        if !self.colored {
            return line.into_owned();
        }
        let (time, rest) = line.split_once(' ').unwrap_or(("", &line));
        let color = match moment.kind {
            Kind::Fault | Kind::Trouble => "31", // red
            Kind::State if moment.bad => "1;31",
            Kind::State => "1;32", // green
            _ if moment.bad => "31",
            Kind::Message if !moment.topic.is_empty() => "36", // cyan
            _ => "0",
        };
        format!("\u{1b}[2m{time}\u{1b}[0m \u{1b}[{color}m{rest}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::chart::Lane;
    use super::*;

    fn screen(colored: bool, level: Level) -> Screen {
        Screen { colored, level }
    }

    #[test]
    fn a_line_has_time_direction_and_what_it_is() {
        let moment = Moment::new(Kind::Message, "PUBLISH")
            .way(Lane::Device, Lane::Service)
            .topic("jobs/a/update")
            .about("SUCCEEDED");
        let shown = screen(false, Level::Brief).line(&moment).unwrap();
        let (time, rest) = shown.split_once(' ').unwrap();
        assert_eq!(time.len(), "12:34:56.789".len(), "{time}");
        assert_eq!(rest, "-> PUBLISH jobs/a/update SUCCEEDED");
    }

    #[test]
    fn only_our_own_escape_sequences_are_shown() {
        let evil = Moment::new(Kind::Trouble, "not delivered").about("\u{1b}[2J\nforged");
        let shown = screen(false, Level::Brief).line(&evil).unwrap();
        assert!(!shown.contains(['\u{1b}', '\n']), "{shown}");
        assert!(shown.contains(r"\u{1b}[2J\nforged"), "{shown}");
        let shown = screen(true, Level::Brief).line(&evil).unwrap();
        assert_eq!(shown.matches('\u{1b}').count(), 4);
    }

    #[test]
    fn acknowledgements_are_shown_on_demand_and_when_they_are_bad_news() {
        let ack = |code| Moment::new(Kind::Ack, "PUBACK").code(code);
        let mut screen = screen(false, Level::Brief);
        assert!(screen.line(&ack(0)).is_none());
        assert!(screen.line(&ack(0x97)).is_some());
        screen.toggle(Level::All);
        assert!(screen.line(&ack(0)).is_some());
        screen.toggle(Level::Quiet);
        assert!(screen.line(&ack(0x97)).is_none());
        screen.toggle(Level::Quiet);
        assert_eq!(screen.level, Level::Brief);
    }
}
