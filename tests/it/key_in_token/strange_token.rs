//! Tokens that SoftHSM is not: see strange_token.c.

use super::*;
use crate::support::compile;

/// Starts `key_in_token` with the key that is there, behind a library that is strange in this way.
fn start(scene: &Scene, how: &str) -> Program {
    let library = scene.path("strange_token.so");
    compile("tests/it/key_in_token/strange_token.c", &library);
    let key = &scene.world.files.key;
    let uri = fs::read_to_string(key).unwrap();
    let strange = uri.replace(module().to_str().unwrap(), library.to_str().unwrap());
    assert_ne!(uri, strange);
    fs::write(key, strange).unwrap();
    let mut command = scene.command(&example_path("key_in_token"));
    command.args(scene.world.flags(&[]));
    command.env("SOFTHSM", module()).env("STRANGE_TOKEN", how);
    Program::start_command(command)
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn the_last_try_for_a_pin_is_left_to_a_person() {
    let scene = Scene::new().await;
    scene.with_a_certificate().await;
    fs::write(scene.path("pin"), "0000\n").unwrap();
    let before = scene.in_the_tokens();
    let ended = start(&scene, "last-try").end().await;
    let says =
        "the token 'device' has one try left, and its PIN file may be wrong: log in by hand first";
    assert_eq!(ended.err.trim(), says);
    assert!(scene.in_the_tokens() == before, "it was asked");
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_token_that_shows_the_bare_point_of_its_key_is_understood() {
    let scene = Scene::new().await;
    scene.with_a_certificate().await;
    let device = start(&scene, "bare-point");
    device.out.wait_for("Connected").await;
    device.kill().await;
}
