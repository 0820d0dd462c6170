//! Work of one's own, tested without an account: it needs nothing from the other tests, so
//! that it can be copied.

use std::sync::Arc;

use jobs_mqtt5::agent::{self, Job, Outcome, WorkResult};
use jobs_mqtt5::{jobs, mqtt, tls};
use local_iot_core::{LocalIotCore, Options, Status};

async fn work(job: &Job) -> WorkResult {
    #[derive(serde::Deserialize)]
    struct Greet {
        name: String,
    }
    let Greet { name } = job.document()?;
    println!("Hello, {name}!");
    Ok(Outcome::succeeded())
}

#[tokio::test]
async fn my_work_succeeds() -> Result<(), Box<dyn std::error::Error>> {
    let aws = LocalIotCore::start(Options::default()).await?;
    let folder = tempfile::tempdir()?;
    let files = aws.pki().write_to(folder.path())?;
    let files = tls::Files::new(files.cert, files.key).ca(files.ca);
    let tls = Arc::new(tls::client_config(&files)?);
    let mut options = mqtt::Options::new(aws.endpoint(), "test-1", tls);
    options.port = aws.port();
    let (mqtt, _events) = mqtt::connect(options);
    let jobs = jobs::Client::new(&mqtt, aws.thing_name());

    let text = r#"{"name": "world"}"#;
    aws.jobs().create_job_with_text("hello", text)?;
    tokio::select! {
        ended = agent::run(&jobs, work) => drop(ended?),
        () = aws.jobs().wait_for_status("hello", Status::Succeeded) => return Ok(()),
        () = tokio::time::sleep(std::time::Duration::from_secs(30)) => {}
    }
    Err("it was not SUCCEEDED within 30 seconds".into())
}
