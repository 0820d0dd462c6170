//! First connect, a permanent cause: one or two plain sentences on stderr, exit code 1, no retry.
//! Every message is here in full, so that a change of wording is a decision.

use jobs_mqtt5::sample::lines;
use local_iot_core::{Fault, KeyForm, Pki, ServerCertificate, Times, fill_policy};

use crate::support::{THING, World};

/// Runs the program with these flags, and compares what it says with this.
async fn fails(world: &World, flags: &[&str], words: &str) {
    let ended = world.start(flags).end().await;
    assert_eq!(ended.err, format!("{words}\n"));
    assert_eq!(ended.code, Some(1), "{}", ended.out);
}

/// As [`fails`], for a file that is given with a flag.
async fn refuses_file(world: &World, flag: &str, content: &[u8], words: &str) {
    let path = world.folder.path().join("given.pem");
    std::fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap();
    fails(world, &[flag, path], &words.replace("FILE", path)).await;
}

fn device(pki: &Pki, form: KeyForm) -> local_iot_core::Identity {
    pki.device_with(form).unwrap()
}

#[tokio::test]
async fn a_file_that_is_missing_unreadable_empty_or_huge() {
    let world = World::new().await;
    for flag in ["--cert", "--key", "--ca_file"] {
        fails(
            &world,
            &[flag, "no/such/file"],
            &format!(
                "{flag} no/such/file can't be read: {}. Check the path.",
                std::fs::read("no/such/file").unwrap_err()
            ),
        )
        .await;
        refuses_file(
            &world,
            flag,
            b"",
            &format!("{flag} FILE is empty. Download or copy it again."),
        )
        .await;
        let huge = vec![b'x'; 1024 * 1024 + 1];
        let words =
            format!("{flag} FILE has more than 1 MiB, so it is no PEM file. Check the path.");
        refuses_file(&world, flag, &huge, &words).await;
    }
    let folder = world.folder.path().to_str().unwrap().to_owned();
    let error = std::fs::read(&folder).unwrap_err();
    fails(
        &world,
        &["--cert", &folder],
        &format!("--cert {folder} can't be read: {error}. Check the path."),
    )
    .await;
}

#[tokio::test]
async fn a_file_that_is_not_pem_or_damaged() {
    let world = World::new().await;
    refuses_file(
        &world,
        "--cert",
        b"hello\n",
        "--cert FILE is not a PEM file: it has no line that begins with '-----BEGIN '. Check the path.",
    )
    .await;
    refuses_file(
        &world,
        "--key",
        b"\x30\x82\x01\x02",
        "--key FILE is not in PEM form: it looks like DER. Convert it (openssl x509 -inform der for a \
         certificate, openssl pkey -inform der for a key).",
    )
    .await;
    refuses_file(
        &world,
        "--cert",
        b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
        "--cert FILE is damaged: its PEM can't be decoded. Have its line breaks been lost? The BEGIN \
         and END lines must stand alone. Copy it again.",
    )
    .await;
    let indented = std::fs::read_to_string(&world.files.cert).unwrap();
    refuses_file(
        &world,
        "--cert",
        indented.replace("-----BEGIN", "  -----BEGIN").as_bytes(),
        "--cert FILE holds no certificate: its BEGIN line has something before it (spaces, a byte \
         order mark). Copy it again.",
    )
    .await;
}

#[tokio::test]
async fn a_key_in_a_file_that_has_lost_its_line_breaks_is_not_shown() {
    let world = World::new().await;
    let key = world.core.pki().device().unwrap().key_pem;
    for (mangled, flag) in [
        (key.replace('\n', ""), "--key"),
        (key.replace('\n', r"\n"), "--key"),
        (key.replace('\n', " "), "--key"),
        (key.replace('\n', ""), "--cert"),
        (key.replace('\n', r"\n"), "--cert"),
        (key.replace("KEY-----\n", "KEY-----"), "--cert"),
        (key.replace("-----\n", "\n"), "--ca_file"),
    ] {
        let path = world.folder.path().join("mangled.pem");
        std::fs::write(&path, &mangled).unwrap();
        let flags = [flag, path.to_str().unwrap(), "--verbosity", "Trace"];
        let ended = world.start(&flags).end().await;
        assert_eq!(ended.code, Some(1));
        for line in key.lines().filter(|line| !line.starts_with("-----")) {
            for piece in line.as_bytes().chunks(16).filter(|piece| piece.len() == 16) {
                let piece = std::str::from_utf8(piece).unwrap();
                assert!(
                    !ended.err.contains(piece) && !ended.out.contains(piece),
                    "{}",
                    ended.err
                );
            }
        }
    }
}

#[tokio::test]
async fn pem_of_the_wrong_kind_and_swapped_files() {
    let world = World::new().await;
    let identity = world.core.pki().device().unwrap();
    refuses_file(
        &world,
        "--cert",
        identity.key_pem.as_bytes(),
        "--cert FILE holds no certificate, but PRIVATE KEY. Have --cert and --key been swapped?",
    )
    .await;
    refuses_file(
        &world,
        "--key",
        identity.cert_pem.as_bytes(),
        "--key FILE holds no private key, but CERTIFICATE. Have --cert and --key been swapped?",
    )
    .await;
    refuses_file(
        &world,
        "--key",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "--key FILE holds no private key, but PUBLIC KEY. The right file has a line -----BEGIN PRIVATE \
         KEY----- (or RSA or EC PRIVATE KEY).",
    )
    .await;
    refuses_file(
        &world,
        "--ca_file",
        identity.key_pem.as_bytes(),
        "--ca_file FILE holds no certificate, but PRIVATE KEY. The right file has a line -----BEGIN \
         CERTIFICATE-----.",
    )
    .await;
}

#[tokio::test]
async fn a_key_that_is_encrypted_of_another_certificate_or_of_an_unknown_kind() {
    let world = World::new().await;
    let encrypted = device(world.core.pki(), KeyForm::EncryptedPkcs8).key_pem;
    refuses_file(
        &world,
        "--key",
        encrypted.as_bytes(),
        "--key FILE is encrypted with a pass phrase, and there is nobody to type it on a device. \
         Decrypt it (openssl pkey -in ENCRYPTED -out PLAIN), and protect the file by its mode (chmod \
         600).",
    )
    .await;
    let other = device(world.core.pki(), KeyForm::Pkcs8P256).key_pem;
    let cert = world.files.cert.to_str().unwrap();
    let words = format!(
        "--key FILE is not the private key of the certificate. Check that it and --cert {cert} come \
         from the same download: AWS IoT names them alike (ID-certificate.pem.crt, ID-private.pem.key)."
    );
    refuses_file(&world, "--key", other.as_bytes(), &words).await;
    let nonsense = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let path = world.folder.path().join("nonsense.pem");
    std::fs::write(&path, nonsense).unwrap();
    let ended = world.start(&["--key", path.to_str().unwrap()]).end().await;
    assert!(
        ended.err.contains("holds a private key that can't be used"),
        "{}",
        ended.err
    );
    assert!(
        ended
            .err
            .contains("Supported are RSA from 2,048 bits, and EC on the curves P-256")
    );
    assert_eq!(ended.code, Some(1));
}

#[tokio::test]
#[cfg(target_os = "linux")] // elsewhere, the trust store is not a file
async fn a_system_without_a_trust_store() {
    let world = World::new().await;
    let mut command = tokio::process::Command::new(crate::support::program_path());
    let mut flags = world.flags(&[]);
    let at = flags.iter().position(|flag| flag == "--ca_file").unwrap();
    flags.drain(at..at + 2);
    let empty = world.folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    command
        .args(flags)
        .env("SSL_CERT_DIR", &empty)
        .env("SSL_CERT_FILE", "/dev/null");
    let ended = crate::support::Program::start_command(command).end().await;
    assert_eq!(
        ended.err,
        "The system's trust store has no CA certificate. Install it (Debian, Ubuntu: apt install \
         ca-certificates), or set --ca_file to Amazon's CA \
         (https://www.amazontrust.com/repository/AmazonRootCA1.pem).\n"
    );
    assert_eq!(ended.code, Some(1));
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
    for tls_versions in [
        local_iot_core::TlsVersions::Only12,
        local_iot_core::TlsVersions::Only13,
    ] {
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
    for tls_versions in [
        local_iot_core::TlsVersions::Only12,
        local_iot_core::TlsVersions::Only13,
    ] {
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
    let words = "GetPendingJobExecutions can't be answered: the server refused the subscription \
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
                 Check --thing_name first: it must be the name of this certificate's thing. \
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

fn is_connect(event: &local_iot_core::Event) -> bool {
    matches!(event, local_iot_core::Event::Connect { .. })
}
