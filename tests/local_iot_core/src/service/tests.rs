//! The service, without its door.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

use super::Service;
use crate::{Event, Options};

/// CONNECT from `test-1`: MQTT5, clean start, a keep alive of 30 seconds.
const CONNECT: &[u8] = b"\x10\x13\0\x04MQTT\x05\x02\0\x1e\0\0\x06test-1";

#[tokio::test(start_paused = true)]
async fn a_client_is_served_over_any_stream_in_tokios_time() {
    let service = Service::new(Options::default()).unwrap();
    let (mut near, far) = tokio::io::duplex(4096);
    tokio::spawn(service.serve(far));
    near.write_all(CONNECT).await.unwrap();
    let began = Instant::now();
    let mut answer = Vec::new();
    near.read_to_end(&mut answer).await.unwrap(); // silent for too long, it is thrown out
    assert_eq!(began.elapsed().as_secs(), 45);
    assert_eq!((answer[0], answer[3]), (0x20, 0), "CONNACK: success");
    drop(near);
    let closed = |event: &Event| *event == Event::ConnectionClosed;
    service.journal().wait_for(closed).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_says_anything_is_thrown_out() {
    let service = Service::new(Options::default()).unwrap();
    let (mut near, far) = tokio::io::duplex(4096);
    tokio::spawn(service.serve(far));
    let began = Instant::now();
    assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn its_clock_runs_with_tokios_time_and_can_be_turned() {
    let service = Service::new(Options {
        time_of_day: Some(UNIX_EPOCH + Duration::from_secs(1_000_000)),
        ..Options::default()
    })
    .unwrap();
    let queued_at = |job_id: &str| {
        service.jobs().create_job(job_id, json!({})).unwrap();
        let execution = service.jobs().execution(job_id).unwrap();
        execution.queued_at.epoch_seconds()
    };
    assert_eq!(queued_at("a"), 1_000_000);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(queued_at("b"), 1_003_600);
    service.turn_clock(-7200);
    assert_eq!(queued_at("c"), 996_400);
}
