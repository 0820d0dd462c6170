//! What a device has in use.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::run::Memory;

/// How much less memory is in use after this than before.
pub fn freed(what: impl FnOnce()) -> Memory {
    let used = allocation_counter::measure(what);
    Memory {
        pieces: -used.count_current,
        bytes: -used.bytes_current,
    }
}

/// How many tasks there are: the fewest within some seconds, for a publish on its way is one.
pub async fn tasks() -> usize {
    let mut fewest = usize::MAX;
    for _ in 0..5 {
        sleep(Duration::from_secs(1)).await;
        fewest = fewest.min(Handle::current().metrics().num_alive_tasks());
    }
    fewest
}
