//! What was said, line by line, and a way to wait for a line.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::LIMIT;

/// What was written to one stream so far. Clones share it.
#[derive(Clone)]
pub struct Captured {
    name: &'static str,
    text: Arc<watch::Sender<String>>,
}

impl Captured {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            text: Arc::new(watch::Sender::default()),
        }
    }

    pub fn push(&self, more: &str) {
        self.text.send_modify(|text| text.push_str(more));
    }

    pub fn text(&self) -> String {
        self.text.borrow().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.text.borrow().lines().map(str::to_owned).collect()
    }

    /// How many lines have this in them.
    pub fn count(&self, part: &str) -> usize {
        self.text
            .borrow()
            .lines()
            .filter(|line| line.contains(part))
            .count()
    }

    /// Waits for a line that has this in it.
    pub async fn wait_for(&self, part: &str) {
        self.wait_for_count(1, part).await;
    }

    /// Waits until so many lines have this in them.
    pub async fn wait_for_count(&self, count: usize, part: &str) {
        let mut text = self.text.subscribe();
        let told =
            text.wait_for(|text| text.lines().filter(|line| line.contains(part)).count() >= count);
        if tokio::time::timeout(LIMIT, told).await.is_err() {
            panic!(
                "'{part}' was not said {count} times on {}, but:\n{}",
                self.name,
                self.text()
            );
        }
    }

    /// Whether nothing more is told for a while.
    pub async fn is_quiet_for(&self, time: Duration) -> bool {
        let mut text = self.text.subscribe();
        text.mark_unchanged();
        tokio::time::timeout(time, text.changed()).await.is_err()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
