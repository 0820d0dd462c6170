//! First connect, a permanent cause: one or two plain sentences on stderr, exit code 1, no retry.
//! Every message is here in full, so that a change of wording is a decision.

use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, Fault, ServerCertificate, Times, TlsVersions, fill_policy};

use crate::support::{THING, World};

mod files;

/// Runs the program with these flags, and compares what it says with this.
async fn fails(world: &World, flags: &[&str], words: &str) {
    let ended = world.start(flags).end().await;
    assert_eq!(ended.err, format!("{words}\n"));
    assert_eq!(ended.code, Some(1), "{}", ended.out);
}

#[tokio::test]
async fn a_server_certificate_that_is_not_to_be_trusted() {
    for (certificate, words) in [
        (
            ServerCertificate::UnknownCa,
            "The certificate of SERVER was not signed by a CA that is trusted here. Check \
             --endpoint, and that --ca_file, if it is given, holds the CA of that server (for AWS: \
             https://www.amazontrust.com/repository/AmazonRootCA1.pem). Without it, the system's trust \
             store is used.",
        ),
        (
            ServerCertificate::WrongName,
            "The certificate of SERVER is for another name than 'localhost'. Check that \
             --endpoint is the name that `aws iot describe-endpoint --endpoint-type iot:Data-ATS` \
             prints, and not an IP address or an alias of it.",
        ),
        (
            ServerCertificate::Expired,
            "The certificate of SERVER has expired, or this device's clock is ahead. Check the clock \
             (`date`) and --endpoint.",
        ),
        (
            ServerCertificate::NotYetValid,
            "The certificate of SERVER is not valid yet, so this device's clock is most likely behind. \
             Check the clock (`date`) and --endpoint.",
        ),
    ] {
        let server_certificate = certificate;
        let world = World::set(|options| options.server_certificate = server_certificate).await;
        let server = format!("localhost:{}", world.core.port());
        fails(&world, &[], &words.replace("SERVER", &server)).await;
    }
}

#[tokio::test]
async fn a_device_certificate_that_the_server_does_not_know() {
    for tls_versions in [TlsVersions::Only12, TlsVersions::Only13] {
        let world = World::set(|options| options.tls_versions = tls_versions).await;
        let stranger = world.core.pki().stranger().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = world
            .core
            .pki()
            .write_identity(&stranger, folder.path())
            .unwrap();
        let flags = [
            "--cert",
            files.cert.to_str().unwrap(),
            "--key",
            files.key.to_str().unwrap(),
        ];
        let ended = world.start(&flags).end().await;
        let alert = ended.err.split("TLS alert ").nth(1).unwrap_or_default();
        let alert = alert.split('.').next().unwrap();
        let expected = format!(
            "localhost:{} ended the TLS handshake: TLS alert {alert}. It refused this device's \
             certificate. Check that it is registered and active in this account and region (AWS IoT \
             console: Security > Certificates), and that --endpoint belongs to the same account.\n",
            world.core.port()
        );
        assert_eq!((ended.err, ended.code), (expected, Some(1)));
    }
}

#[tokio::test]
async fn an_endpoint_that_is_an_ip_address_is_told_so_before_the_alert() {
    for tls_versions in [TlsVersions::Only12, TlsVersions::Only13] {
        let world = World::set(|options| options.tls_versions = tls_versions).await;
        let ended = world.start(&["--endpoint", "127.0.0.1"]).end().await;
        let (alert, words) = ended.err.split_once(". ").unwrap();
        assert!(
            alert.contains(" ended the TLS handshake: TLS alert "),
            "{alert}"
        );
        assert_eq!(
            words,
            "'127.0.0.1' is an IP address, and AWS IoT Core must be asked for by its name (SNI): \
             --endpoint is the name that `aws iot describe-endpoint --endpoint-type iot:Data-ATS` \
             prints.\n"
        );
        assert_eq!(ended.code, Some(1));
    }
}

#[tokio::test]
async fn a_connack_that_refuses_what_it_was_given() {
    let console = "(AWS IoT console: Security > Certificates)";
    for (code, words) in [
        (
            0x87,
            format!(
                "CONNACK 0x87 (not authorized). Check that the policy of your certificate allows \
                 iot:Connect on arn:aws:iot:REGION:ACCOUNT:client/test-x, and that the certificate is \
                 active and has that policy {console}."
            ),
        ),
        (
            0x86,
            format!(
                "CONNACK 0x86 (bad user name or password). Check that this device's certificate is \
                 registered and active in this account and region {console}, and that --endpoint \
                 belongs to the same account."
            ),
        ),
        (
            0x85,
            "CONNACK 0x85 (client identifier not valid). The client ID was 'test-x': check --client_id."
                .to_owned(),
        ),
    ] {
        let world = World::new().await;
        world.core.faults().add(Fault::Connack(code), Times::Always);
        let words = format!("localhost:{} refused the connection: {words}", world.core.port());
        fails(&world, &["--client_id", "test-x"], &words).await;
        assert_eq!(world.core.journal().count(is_connect), 1, "no retry");
    }
}

#[tokio::test]
async fn a_policy_that_does_not_allow_to_connect() {
    let world = World::new().await;
    let ended = world.start(&["--client_id", "mine"]).end().await; // the policy allows test-*
    let words = "allows iot:Connect on arn:aws:iot:REGION:ACCOUNT:client/mine";
    assert!(ended.err.contains(words), "{}", ended.err);
    assert_eq!(ended.code, Some(1));
}

#[tokio::test]
async fn a_policy_that_denies_by_hanging_up_is_named_as_a_likely_cause() {
    let world = World::new().await;
    world
        .core
        .faults()
        .add(Fault::ConnectDeniedCloses, Times::Always);
    let ended = world
        .start(&["--client_id", "mine", "--is_ci", "true"])
        .end()
        .await;
    let begins = format!(
        "localhost:{} closed the connection before it answered CONNECT",
        world.core.port()
    );
    let advice = "If this happens again and \
         again, a likely cause is a policy that does not allow iot:Connect on \
         arn:aws:iot:REGION:ACCOUNT:client/mine, or a certificate that is not active or has no policy \
         (AWS IoT console: Security > Certificates).";
    let expected = format!(
        "{begins}. {advice} {}\n{begins}, after 5 tries. {advice}\n",
        lines::TRYING_AGAIN
    );
    assert_eq!((ended.err, ended.code), (expected, Some(1)));
}

#[tokio::test]
async fn a_policy_that_denies_a_subscription_names_what_is_missing() {
    let world = World::new().await;
    let policy = policy_without("topicfilter/$aws/things/my-thing/jobs/*/update/*");
    world.core.set_policy(policy).unwrap();
    let words = "The server refused the subscription \
                 to $aws/things/my-thing/jobs/+/update/+: SUBACK 0x87 (not authorized). \
                 Check --thing_name first: it must be the name of this certificate's thing. \
                 Add to the policy of your certificate: allow iot:Subscribe on \
                 arn:aws:iot:REGION:ACCOUNT:topicfilter/$aws/things/my-thing/jobs/*/update/* \
                 (policy.json has it for every filter).";
    fails(&world, &[], words).await;
}

#[tokio::test]
async fn a_policy_that_denies_a_publish_names_what_is_missing() {
    let world = World::new().await;
    world
        .core
        .set_policy(policy_without("topic/$aws/things/my-thing/jobs/start-next"))
        .unwrap();
    let words = "StartNextPendingJobExecution could not be published: the server refused a publish \
                 to $aws/things/my-thing/jobs/start-next: PUBACK 0x87 (not authorized). \
                 Add to the policy of your certificate: allow iot:Publish on \
                 arn:aws:iot:REGION:ACCOUNT:topic/$aws/things/my-thing/jobs/start-next \
                 (policy.json has it for every request).";
    fails(&world, &[], words).await;
}

/// The sample's policy without one resource.
fn policy_without(resource: &str) -> String {
    let filled = fill_policy(include_str!("../../policy.json"), THING);
    let arn = format!("\"arn:aws:iot:us-east-1:123456789012:{resource}\"");
    assert!(filled.contains(&arn), "{arn}");
    filled.replace(&arn, "\"arn:aws:iot:us-east-1:123456789012:nothing\"")
}

fn is_connect(event: &Event) -> bool {
    matches!(event, Event::Connect { .. })
}
