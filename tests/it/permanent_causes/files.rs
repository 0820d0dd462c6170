//! A file that can't be used is named by its flag, with what to do about it, and no key is shown.

use local_iot_core::{Identity, KeyForm, Pki};

use super::fails;
use crate::support::World;

/// As [`fails`], for a file that is given with a flag.
async fn refuses_file(world: &World, flag: &str, content: &[u8], words: &str) {
    let path = world.folder.path().join("given.pem");
    std::fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap();
    fails(world, &[flag, path], &words.replace("FILE", path)).await;
}

fn device(pki: &Pki, form: KeyForm) -> Identity {
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
