//! The URI that says where a key is: what it may say, and what is wrong with it.

use super::*;

#[tokio::test]
async fn what_is_wrong_with_a_uri_is_told_in_words() {
    let world = World::new().await;
    for own in [&world.files.cert, &world.files.key] {
        fs::remove_file(own).unwrap();
    }
    for (uri, says) in [
        (
            "pkcs11:token=a?module-path=/no/such.so",
            "/no/such.so can't be used: ",
        ),
        (
            "pkcs11:token=a?module-path=/x&pin-value=1234",
            "a PIN does not belong into a URI",
        ),
        (
            "pkcs11:object=a?module-path=/x",
            "a pkcs11 URI has a token=",
        ),
        ("pkcs11:token=a", "and a ?module-path="),
        (
            "pkcs11:token=a;slot-id=1?module-path=/x",
            "a pkcs11 URI has no 'slot-id' here",
        ),
        (
            "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=1;token=a;id=%ff%01;type=private?module-path=/no%20such.so",
            "/no such.so can't be used: ",
        ),
        (
            "pkcs11:token=a%2?module-path=/x",
            "'token=a%2' in a pkcs11 URI is not percent-encoded text",
        ),
    ] {
        let mut command = Command::new(example_path("key_in_token"));
        command.args(world.flags(&[])).env("DEVICE_TOKEN", uri);
        let ended = Program::start_command(command).end().await;
        assert_eq!(ended.code, Some(1), "{uri}: {}", ended.out);
        assert!(ended.err.contains(says), "{uri}: {}", ended.err);
        assert!(!ended.err.contains("1234"), "{uri}: {}", ended.err);
        assert!(!world.files.key.exists());
    }
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_token_is_found_by_its_uri_as_p11tool_prints_it() {
    let scene = Scene::new().await;
    scene.with_a_token("my device").await;
    let slots = scene
        .command("softhsm2-util".as_ref())
        .arg("--show-slots")
        .output()
        .await
        .unwrap();
    let slots = String::from_utf8(slots.stdout).unwrap();
    let value_of = |name: &str| {
        let mut lines = slots
            .lines()
            .rev()
            .skip_while(|line| !line.contains("my device"));
        let line = lines.find(|line| line.trim().starts_with(name)).unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    let serial = value_of("Serial number");
    let token = |serial: &str| {
        let device = format!(
            "model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial={serial};token=my%20device"
        );
        scene.token().replace("token=device", &device)
    };
    let wrong = scene.start_on(&token("0"), "key_in_token", &[]).end().await;
    let missing =
        "the token 'my device' is not there: is it plugged in, and is that what the URI calls it?";
    assert_eq!(wrong.err.trim(), missing);
    let made = scene
        .start_on(&token(&serial), "key_in_token", &[])
        .end()
        .await;
    assert_eq!(made.code, Some(0), "{}", made.err);
    scene.world.certify(&made.out);
    // A key's URI has more to say than a token's.
    let key = &scene.world.files.key;
    let uri = fs::read_to_string(key).unwrap();
    fs::write(
        key,
        uri.replace(";object=", ";id=%ff%01;type=private;object="),
    )
    .unwrap();
    scene.does("key_in_token", "a").await;
}
