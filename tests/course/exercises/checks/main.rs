//! Whether the exercises are done: `cargo test -p exercises NAME`. Each file here is named as its
//! exercise; its check is the same for the reader's work and for the solution.

mod cancel;
mod checkpoint;
mod ci;
mod policy;
mod progress;
mod refuse;
mod repeatable;
mod world;

#[path = "../src/mod.rs"]
mod exercises;
#[path = "../solutions/mod.rs"]
mod solutions;

use std::fmt;

/// What a test says of work that is not done yet.
pub struct NotYet(String);

impl fmt::Debug for NotYet {
    /// As words, for that is what a test shows of its error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not yet. {}", self.0)
    }
}

/// Waits for what a check says.
pub fn judge(check: impl Future<Output = Result<(), String>>) -> Result<(), NotYet> {
    in_runtime(check).map_err(NotYet)
}

/// Runs this. The runtime is never shut down, for that would wait for work that does not end.
pub fn in_runtime<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    let output = runtime.block_on(future);
    std::mem::forget(runtime);
    output
}
