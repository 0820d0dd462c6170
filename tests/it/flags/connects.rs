//! The flags that say how it connects: with which key, by which TLS, whom it trusts, and through which proxy.

use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, KeyForm, ServerCertificate, Status, TlsVersions};
use tokio::process::Command;

use crate::support::{ForwardProxy, Program, World, program_path};

fn connected(world: &World) -> (Option<String>, String, String) {
    let events = world.core.journal().events();
    let tls = events.into_iter().find_map(|event| match event {
        Event::TlsDone { alpn, version, sni } => Some((alpn, version, sni)),
        _ => None,
    });
    tls.unwrap()
}

async fn does_a_job(world: &World, flags: &[&str]) {
    world.queue(&["job"]);
    let program = world.start(flags);
    program.out.wait_for(lines::REPORT_ACCEPTED).await;
    program.kill().await;
    assert_eq!(
        world.core.jobs().execution("job").unwrap().status,
        Status::Succeeded
    );
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn keys_in_every_form_and_chains_are_taken() {
    for form in [
        KeyForm::Pkcs8P256,
        KeyForm::Pkcs8P384,
        KeyForm::Sec1P256,
        KeyForm::Sec1P384,
        KeyForm::RsaPkcs1,
        KeyForm::RsaPkcs8,
    ] {
        let world = World::new().await;
        let identity = world.core.pki().device_with(form).unwrap();
        world
            .core
            .pki()
            .write_identity(&identity, world.folder.path())
            .unwrap();
        does_a_job(&world, &[]).await;
    }
    let world = World::new().await;
    let identity = world.core.pki().device_with_chain().unwrap();
    assert_eq!(identity.cert_pem.matches("BEGIN CERTIFICATE").count(), 2);
    world
        .core
        .pki()
        .write_identity(&identity, world.folder.path())
        .unwrap();
    does_a_job(&world, &[]).await;
}

#[tokio::test]
async fn tls_1_2_and_1_3_with_sni_and_large_server_chains() {
    for (tls_versions, version) in [
        (TlsVersions::Only12, "TLSv1_2"),
        (TlsVersions::Only13, "TLSv1_3"),
    ] {
        let world = World::set(|options| options.tls_versions = tls_versions).await;
        does_a_job(&world, &[]).await;
        assert_eq!(
            connected(&world),
            (None, version.to_owned(), "localhost".to_owned())
        );
    }
    let server_certificate = ServerCertificate::LongChain;
    let world = World::set(|options| options.server_certificate = server_certificate).await;
    does_a_job(&world, &[]).await;
}

#[tokio::test]
async fn a_ca_file_is_the_only_trust_and_the_system_s_store_the_one_without() {
    let world = World::new().await;
    let mut flags = world.flags(&[]);
    let at = flags.iter().position(|flag| flag == "--ca_file").unwrap();
    flags.drain(at..at + 2);
    // The system's store, with the CA of this world in it.
    let mut command = Command::new(program_path());
    command
        .args(&flags)
        .env("SSL_CERT_FILE", &world.files.ca)
        .env_remove("SSL_CERT_DIR");
    if cfg!(target_os = "linux") {
        let program = Program::start_command(command);
        program.out.wait_for(lines::CONNECTED).await;
        program.kill().await;
    }
    // With --ca_file, the system's store has no say.
    let other = World::new().await;
    let mut command = Command::new(program_path());
    command.args(flags).arg("--ca_file").arg(&other.files.ca);
    command.env("SSL_CERT_FILE", &world.files.ca);
    let ended = Program::start_command(command).end().await;
    assert!(
        ended
            .err
            .contains("not signed by a CA that is trusted here"),
        "{}",
        ended.err
    );
}

#[tokio::test]
async fn a_proxy_is_gone_through_and_on_443_the_alpn_name_is_sent() {
    let world = World::new().await;
    let proxy = ForwardProxy::start(world.core.port()).await;
    let port = proxy.port.to_string();
    does_a_job(
        &world,
        &[
            "--proxy_host",
            "localhost",
            "--proxy_port",
            &port,
            "--port",
            "443",
        ],
    )
    .await;
    assert_eq!(proxy.asked_for(), ["localhost:443"]);
    assert_eq!(connected(&world).0.as_deref(), Some("x-amzn-mqtt-ca"));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_with_what_to_check() {
    let world = World::new().await;
    let proxy = ForwardProxy::that_refuses().await;
    let port = proxy.port.to_string();
    let program = world.start(&["--proxy_host", "localhost", "--proxy_port", &port]);
    program
        .err
        .wait_for(&format!(
            "The HTTP proxy localhost:{port} refused to tunnel to localhost:"
        ))
        .await;
    let words = program.err.text();
    assert!(words.contains("403"), "{words}");
    assert!(
        words.contains("Check --proxy_host and --proxy_port"),
        "{words}"
    );
}

#[tokio::test]
async fn a_proxy_that_can_not_be_reached_is_named() {
    let world = World::new().await;
    let proxy = ForwardProxy::start(world.core.port()).await;
    let port = proxy.port.to_string();
    drop(proxy);
    let program = world.start(&["--proxy_host", "localhost", "--proxy_port", &port]);
    let words = format!("The HTTP proxy localhost:{port} can't be reached: ");
    program.err.wait_for(&words).await;
    let words = program.err.text();
    assert!(
        words.contains("Check --proxy_host and --proxy_port, and the network."),
        "{words}"
    );
}

#[tokio::test]
async fn the_endpoint_may_have_the_port_in_it() {
    let world = World::new().await;
    let address = format!("localhost:{}", world.core.port());
    let mut flags = world.flags(&["--endpoint", &address]);
    let at = flags.iter().position(|flag| flag == "--port").unwrap();
    flags.drain(at..at + 2);
    let program = Program::start(&flags);
    program.out.wait_for("Connecting to localhost with").await;
    program.out.wait_for(lines::CONNECTED).await;
    program.kill().await;

    let ended = world
        .start(&["--endpoint", &address, "--port", "443"])
        .end()
        .await;
    assert_eq!(ended.code, Some(2));
    let words = format!(
        "error: --endpoint has the port {}, and --port is 443\n",
        world.core.port()
    );
    assert!(ended.err.starts_with(&words), "{}", ended.err);
}
