//! Waiting, with a limit.

use std::time::Duration;

/// Nothing that a test waits for takes nearly as long, on a busy machine either.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Fails the test if what it waits for does not happen.
pub async fn within<F: Future>(future: F) -> F::Output {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(output) => output,
        Err(_) => panic!("it did not happen within {LIMIT:?}"),
    }
}

/// Waits for what nobody tells of.
pub async fn eventually(mut is_so: impl FnMut() -> bool) {
    within(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
