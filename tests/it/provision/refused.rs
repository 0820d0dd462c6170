//! What is refused, and in which words: of the claim, of a device that is not wanted.

use super::*;
use crate::support::{ForwardProxy, refusal};
use jobs_mqtt5::mqtt::Publish;
use jobs_mqtt5::tls::{self, Files};

#[tokio::test]
async fn a_new_device_gets_an_identity_and_does_its_first_job_and_the_claim_is_of_no_use() {
    let scene = Scene::new().await;
    let claim = scene.cloud().certificates()[0].clone();
    scene.world.queue(&["first"]);
    let device = scene.start("provision", &[]);
    scene.world.succeeds("first").await;
    device.out.wait_for("Connected as my-thing").await;
    device.kill().await;
    scene.is_whole(&scene.folder());
    assert_eq!(scene.connects_as("claim-my-thing"), 1);

    // Its key is its own, and was never sent.
    let identity = fs::read_to_string(scene.folder().join("current.pem")).unwrap();
    let key = rcgen::KeyPair::from_pem(&identity[identity.find("-----BEGIN PRIVATE").unwrap()..]);
    let secret = key.unwrap().serialize_pem();
    assert_ne!(secret, fs::read_to_string(&scene.world.files.key).unwrap());
    let secret = secret.lines().nth(1).unwrap().as_bytes().to_vec();
    let sends_it = |event: &Event| match event {
        Event::Publish { payload, .. } => payload.windows(secret.len()).any(|part| part == secret),
        _ => false,
    };
    assert_eq!(scene.world.core.journal().count(sends_it), 0);

    // From now on, it needs no claim.
    scene.cloud().deactivate(&claim.id);
    fs::remove_file(&scene.world.files.cert).unwrap();
    fs::remove_file(&scene.world.files.key).unwrap();
    scene.world.queue(&["second"]);
    let device = scene.start("provision", &[]);
    scene.world.succeeds("second").await;
    device.kill().await;
    assert_eq!(scene.connects_as("claim-my-thing"), 1);
    assert_eq!(scene.world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn a_claim_is_good_for_provisioning_and_nothing_else() {
    let scene = Scene::new().await;
    let files = Files::new(&scene.world.files.cert, &scene.world.files.key);
    let tls = Arc::new(tls::client_config(&files.ca(&scene.world.files.ca)).unwrap());
    let connect = |client_id: &str| {
        let endpoint = scene.world.core.endpoint();
        let mut options = mqtt::Options::new(endpoint, client_id, Arc::clone(&tls));
        options.port = scene.world.core.port();
        mqtt::connect(options)
    };
    for client_id in [THING, "test-1"] {
        let (_mqtt, mut events) = connect(client_id);
        let refused = within(events.next()).await;
        let refused = format!("{refused:?}");
        assert!(refused.contains("not authorized"), "{client_id}: {refused}");
    }
    let (mqtt, _events) = connect("claim-1");
    for filter in [
        "$aws/things/my-thing/jobs/notify-next",
        "$aws/certificates/#",
        "#",
    ] {
        let refused = refusal(&mqtt.subscribe([filter])).await;
        assert!(refused.is_denied(), "{refused}");
    }
    for topic in [
        "$aws/certificates/create/json",
        "$aws/provisioning-templates/other/provision/json",
        "$aws/things/my-thing/jobs/get",
        "dt/my-thing/celsius",
    ] {
        let refused = within(mqtt.publish(Publish::new(topic, "{}"))).await;
        assert!(refused.is_err(), "{topic}");
    }
}

#[tokio::test]
async fn each_error_code_is_told_in_words_and_the_next_start_begins_where_it_was() {
    for step in STEPS {
        let scene = Scene::new().await;
        for (status, code, advice) in [
            (
                403,
                "AccessDenied",
                "pre-provisioning hook does not know this device",
            ),
            (
                400,
                "InvalidCertificateSigningRequest",
                "Is the key one that AWS takes",
            ),
            (
                400,
                "InvalidParameters",
                "wants another parameter than SerialNumber",
            ),
            (400, "InvalidPayload", "a mistake of this program"),
            (400, "InvalidResult", "hook failed: see its log"),
            (400, "InvocationError", "hook failed: see its log"),
            (400, "InvalidTemplate", "Is there such a template"),
            (
                400,
                "ProvisioningFailed",
                "Does all exist that the template names",
            ),
            (418, "OneThatIsNew", "Look for this code"),
        ] {
            scene
                .cloud()
                .goes_wrong(step, Mishap::Reject(status, code.to_owned()));
            let said = scene.fails().await;
            for part in [code, &status.to_string(), advice] {
                assert!(said.contains(part), "{part}: {said}");
            }
            assert_eq!(scene.active(), 0);
        }
        assert_eq!(scene.cloud().mishaps_left(), 0);
        scene.succeeds().await;
    }
}

#[tokio::test]
async fn what_the_template_itself_refuses_is_told_in_words() {
    let scene = Scene::new().await;
    let policy = device_policy();
    let set = |from: &str, to: &str| {
        let template = include_str!("../../course/provisioning/template.json");
        assert!(template.contains(from));
        let template = template.replace(from, to);
        scene
            .cloud()
            .create_template(TEMPLATE, &template, &[(TEMPLATE, &policy)])
            .unwrap();
    };
    let name = r#""ThingName": { "Ref": "SerialNumber" }"#;
    set(name, r#""ThingName": { "Ref": "Colour" }"#);
    let said = scene.fails().await;
    assert!(
        said.contains("Cannot resolve reference value: Colour"),
        "{said}"
    );
    set(name, r#""ThingName": "not a name""#);
    let said = scene.fails().await;
    assert!(said.contains("ProvisioningFailed (400)"), "{said}");
    set(
        name,
        r#""ThingName": {"Fn::Join": ["-", ["lamp", {"Ref": "SerialNumber"}]]}"#,
    );
    let said = scene.fails().await;
    assert_eq!(
        said,
        "the template calls this device lamp-my-thing, not my-thing"
    );
}

#[tokio::test]
async fn a_claim_that_is_not_good_any_more_says_so() {
    let scene = Scene::new().await;
    scene.world.core.set_policy(r#"{"Statement": []}"#).unwrap();
    let pki = scene.world.core.pki();
    let other = pki.device().unwrap(); // a device's certificate is no claim
    pki.write_identity(&other, scene.world.folder.path())
        .unwrap();
    let said = scene.fails().await;
    assert!(said.contains("CONNACK 0x87 (not authorized)"), "{said}");
}

#[tokio::test]
async fn what_a_device_was_given_on_its_first_day_is_rotated_by_the_other_example() {
    let scene = Scene::new().await;
    // (By a process of its own, which keeps nothing locked.)
    let device = scene.start("provision", &[]);
    device.out.wait_for("Connected as my-thing").await;
    device.kill().await;
    scene.is_whole(&scene.folder());
    let first = fs::read_to_string(scene.folder().join("current.pem")).unwrap();
    // The new certificate is one of the account's: the policy that is in force holds for it.
    let policy = include_str!("../../../policy.json").replace("test-*", THING);
    scene.world.core.set_policy(policy).unwrap();
    let device = scene.start("rotate_certificate", &["--client_id", THING]);
    let jobs = scene.world.core.jobs();
    jobs.create_job("key", serde_json::json!({"operation": "make-key"}))
        .unwrap();
    scene.world.succeeds("key").await;
    let certificate = scene.world.certificate_for("key");
    let document =
        serde_json::json!({"operation": "install-certificate", "certificate": certificate});
    jobs.create_job("certificate", document).unwrap();
    scene.world.succeeds("certificate").await;
    device
        .out
        .wait_for("The new certificate has proven good.")
        .await;
    device.kill().await;
    let now = fs::read_to_string(scene.folder().join("current.pem")).unwrap();
    assert_ne!(first, now);
    scene.succeeds().await; // and goes on with what it has now
}

#[tokio::test]
async fn the_claim_and_the_device_go_through_the_proxy_of_the_flags() {
    let scene = Scene::new().await;
    let proxy = ForwardProxy::start(scene.world.core.port()).await;
    let port = proxy.port.to_string();
    let mut device = scene.device();
    device.flags = scene.flags(&["--proxy_host", "localhost", "--proxy_port", &port]);
    let mqtt = within(device.connect_as_itself()).await.unwrap();
    mqtt.disconnect();
    let endpoint = format!("localhost:{}", scene.world.core.port());
    assert_eq!(proxy.asked_for(), [endpoint.clone(), endpoint]);
}
