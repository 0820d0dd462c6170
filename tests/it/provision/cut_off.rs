//! Cut off at every step, and started again: no second thing, no half identity.

use super::*;
use crate::support::{Fault, FaultyDisk, Moment, eventually};

#[tokio::test]
async fn a_request_that_is_throttled_lost_or_cut_off_is_sent_again() {
    for step in STEPS {
        for mishap in [
            Mishap::Reject(429, "ThrottlingException".to_owned()),
            Mishap::Reject(400, "ThrottlingException".to_owned()),
            Mishap::Reject(500, "InternalFailure".to_owned()),
            Mishap::LoseReply,
            Mishap::DropBefore,
            Mishap::DropAfter,
        ] {
            let scene = Scene::new().await;
            for _ in 0..2 {
                scene.cloud().goes_wrong(step, mishap.clone());
            }
            scene.succeeds().await;
            assert_eq!(scene.cloud().mishaps_left(), 0, "{step:?}: {mishap:?}");
        }
    }
}

/// Whatever fails on the disk, and whenever the program or the power goes.
#[tokio::test]
async fn a_device_that_is_cut_off_at_any_step_goes_on_at_the_next_start() {
    use Moment::{After, Before, Middle};
    let mut struck = 0;
    for fault in [
        Fault::Kill(Before),
        Fault::Kill(Middle),
        Fault::PowerCut(After),
        Fault::NamesOnly,
        Fault::Error(std::io::ErrorKind::Other, After),
        Fault::Full,
    ] {
        let scene = Scene::new().await;
        for step in 0.. {
            let before: BTreeSet<_> = scene
                .cloud()
                .certificates()
                .into_iter()
                .map(|one| one.id)
                .collect();
            let folder = tempfile::tempdir().unwrap();
            let disk = FaultyDisk::new(folder.path(), Some((step, fault)));
            let device = scene.device_on(folder.path(), Arc::new(disk.clone()));
            let first = tokio::spawn(async move {
                device
                    .connect_as_itself()
                    .await
                    .map_err(|error| error.to_string())
                    .map(drop)
            });
            let first = within(first).await;
            if !disk.has_struck() {
                assert!(matches!(first, Ok(Ok(()))), "{first:?}");
                break;
            }
            struck += 1;
            disk.restart();
            disk.mend();
            let device = scene.device_on(folder.path(), Arc::new(disk.clone()));
            let at = format!("{fault:?} at {:?}", disk.steps());
            within(device.connect_as_itself())
                .await
                .unwrap_or_else(|error| panic!("{at}: {error}"))
                .disconnect();
            assert_eq!(scene.cloud().things(), [THING]);
            let new = scene
                .cloud()
                .certificates()
                .into_iter()
                .filter(|one| !before.contains(&one.id));
            let good = new.filter(is_active_of_the_thing).count();
            assert_eq!(good, 1, "{at}");
        }
    }
    assert!(struck > 100, "{struck}");
}

#[tokio::test]
async fn a_device_that_was_cut_off_for_longer_than_its_token_is_good_begins_anew() {
    let scene = Scene::new().await;
    let step = ProvisioningStep::RegisterThing;
    scene
        .cloud()
        .goes_wrong(step, Mishap::Reject(403, "AccessDenied".to_owned()));
    scene.fails().await;
    let first = fs::read_to_string(scene.folder().join("first.pem")).unwrap();
    scene.world.core.turn_clock(3601);
    scene.succeeds().await;
    let second = fs::read_to_string(scene.folder().join("current.pem")).unwrap();
    assert_ne!(first, second, "another certificate");
    let key = |text: &str| text[text.find("-----BEGIN PRIVATE").unwrap()..].to_owned();
    assert_eq!(key(&first), key(&second), "for the same key");
}

#[tokio::test]
async fn a_device_that_was_registered_and_does_not_know_it_needs_no_claim() {
    let scene = Scene::new().await;
    let step = ProvisioningStep::RegisterThing;
    scene.cloud().goes_wrong(step, Mishap::DropAfter);
    let claim = scene.cloud().certificates()[0].clone();
    let device = scene.device();
    let cut_off = tokio::spawn(async move { device.connect_as_itself().await.is_ok() });
    eventually(|| scene.active() > 0).await;
    cut_off.abort();
    assert!(within(cut_off).await.is_err(), "it was cut off in time");
    scene.cloud().deactivate(&claim.id);
    scene.succeeds().await;
}

#[tokio::test]
async fn a_server_that_can_t_be_reached_is_no_refusal() -> Result<(), Box<dyn Error>> {
    let scene = Scene::new().await;
    let step = ProvisioningStep::RegisterThing;
    scene
        .cloud()
        .goes_wrong(step, Mishap::Reject(403, "AccessDenied".to_owned()));
    scene.fails().await;
    scene.world.core.stop_listening().await;
    let said = scene.fails().await;
    assert!(said.contains("after 5 tries"), "{said}");
    assert!(scene.folder().join("first.pem").exists());
    scene.world.core.resume_listening().await?;
    scene.succeeds().await;
    Ok(())
}

/// A power cut on a bad disk, a repair shop: the claim is there, and good.
#[tokio::test]
async fn a_file_that_can_t_be_used_is_as_good_as_none() {
    for garbage in [&b""[..], b"garbage", b"\xff\xfe"] {
        for name in ["first.key", "first.pem", "first.token", "current.pem"] {
            let scene = Scene::new().await;
            if name == "current.pem" {
                scene.succeeds().await;
                let lost = scene.cloud().certificates();
                let lost = lost.iter().find(|one| is_active_of_the_thing(one)).unwrap();
                scene.cloud().deactivate(&lost.id); // somebody withdraws it
            } else {
                let no = Mishap::Reject(403, "AccessDenied".to_owned());
                scene
                    .cloud()
                    .goes_wrong(ProvisioningStep::RegisterThing, no);
                scene.fails().await;
            }
            if name == "first.key" {
                fs::remove_file(scene.folder().join("first.pem")).unwrap();
            }
            assert!(scene.folder().join(name).exists());
            fs::write(scene.folder().join(name), garbage).unwrap();
            let made = scene.cloud().certificates().len();
            scene.succeeds().await;
            assert_eq!(scene.cloud().certificates().len(), made + 1, "{name}");
        }
    }
}

#[tokio::test]
async fn a_leftover_that_can_t_be_removed_does_not_keep_a_device_from_its_work() {
    let scene = Scene::new().await;
    scene.succeeds().await;
    fs::create_dir(scene.folder().join("first.token")).unwrap();
    let mqtt = within(scene.device().connect_as_itself()).await.unwrap();
    mqtt.disconnect();
    assert!(scene.folder().join("first.token").exists());
}
