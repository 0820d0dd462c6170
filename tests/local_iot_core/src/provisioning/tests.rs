use serde_json::{Value, json};

use super::{Mishap, Permission, Provisioning, ProvisioningStep, Request};
use crate::{LocalIotCore, Options};

const TEMPLATE: &str = include_str!("../../../course/provisioning/template.json");
const NAME: &str = "jobs-mqtt5-first-day";
const ALL: &str = r#"{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;

async fn core() -> LocalIotCore {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let provisioning = core.provisioning();
    provisioning
        .create_template(NAME, TEMPLATE, &[(NAME, ALL)])
        .unwrap();
    core
}

/// Asks for a certificate; `Err` is the error code.
fn ask(cloud: &Provisioning, topic: &str, payload: &Value) -> Result<Value, String> {
    let request = Request::parse(topic).unwrap();
    let asked = cloud.carry_out(request, payload.to_string().as_bytes());
    asked.map_err(|rejection| rejection.code)
}

fn certificate(cloud: &Provisioning) -> Result<Value, String> {
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = rcgen::CertificateParams::default().serialize_request(&key);
    let csr = csr.unwrap().pem().unwrap();
    let payload = json!({ "certificateSigningRequest": csr });
    ask(cloud, "$aws/certificates/create-from-csr/json", &payload)
}

fn register(cloud: &Provisioning, token: &Value, parameters: Value) -> Result<Value, String> {
    let topic = format!("$aws/provisioning-templates/{NAME}/provision/json");
    let payload = json!({"certificateOwnershipToken": token, "parameters": parameters});
    ask(cloud, &topic, &payload)
}

#[tokio::test]
async fn a_certificate_is_good_once_it_is_registered_and_gone_if_it_is_not_within_an_hour() {
    let core = core().await;
    let cloud = core.provisioning();
    let first = certificate(cloud).unwrap();
    let parameters = json!({"SerialNumber": "lamp-1"});
    let token = &first["certificateOwnershipToken"];
    assert_eq!(cloud.certificates()[0].status, "PENDING_ACTIVATION");
    for _ in 0..2 {
        let registered = register(cloud, token, parameters.clone()).unwrap();
        assert_eq!(registered["thingName"], "lamp-1");
        assert_eq!(cloud.things(), ["lamp-1"]);
        assert_eq!(cloud.certificates()[0].status, "ACTIVE");
    }
    let second = certificate(cloud).unwrap();
    assert_eq!(cloud.certificates().len(), 2);
    core.turn_clock(3600);
    let late = register(cloud, &second["certificateOwnershipToken"], parameters);
    assert_eq!(late.unwrap_err(), "InvalidCertificateOwnershipToken");
    assert_eq!(cloud.certificates().len(), 1, "the one that is registered");
}

#[tokio::test]
async fn what_aws_refuses_is_refused() {
    let core = core().await;
    let cloud = core.provisioning();
    let created = certificate(cloud).unwrap();
    let token = &created["certificateOwnershipToken"];
    for (parameters, code) in [
        (json!({}), "InvalidParameters"),
        (json!({"SerialNumber": 7}), "InvalidParameters"),
        (json!({"SerialNumber": "a lamp"}), "ProvisioningFailed"),
    ] {
        assert_eq!(register(cloud, token, parameters).unwrap_err(), code);
    }
    let good = json!({"SerialNumber": "lamp"});
    for token in [json!("another"), json!(null), json!("")] {
        let refused = register(cloud, &token, good.clone()).unwrap_err();
        assert_eq!(refused, "InvalidCertificateOwnershipToken");
    }
    let other = "$aws/provisioning-templates/other/provision/json";
    assert_eq!(
        ask(cloud, other, &json!({})).unwrap_err(),
        "InvalidTemplate"
    );
    let create = "$aws/certificates/create-from-csr/json";
    assert_eq!(
        ask(cloud, create, &json!([])).unwrap_err(),
        "InvalidPayload"
    );
    let wrong = ask(cloud, create, &json!({"certificateSigningRequest": "none"}));
    assert_eq!(wrong.unwrap_err(), "InvalidCertificateSigningRequest");
    assert!(cloud.things().is_empty());
}

#[tokio::test]
async fn a_claim_that_is_deactivated_lets_nobody_in() {
    let core = core().await;
    let cloud = core.provisioning();
    cloud.create_claim(ALL).unwrap();
    let der = cloud.lock().certificates.keys().next().unwrap().clone();
    assert!(matches!(cloud.permission(&der), Permission::Own(_)));
    cloud.deactivate(&cloud.certificates()[0].id);
    assert!(matches!(cloud.permission(&der), Permission::None));
    assert!(matches!(cloud.permission(b"unknown"), Permission::General));
}

#[tokio::test]
async fn a_template_with_what_is_not_there_is_refused() {
    let core = core().await;
    let cloud = core.provisioning();
    assert!(cloud.create_template(NAME, TEMPLATE, &[]).is_err());
    assert!(cloud.create_template(NAME, "{}", &[(NAME, ALL)]).is_err());
    let odd = TEMPLATE.replace("AWS::IoT::Policy", "AWS::IoT::Lamp");
    assert!(cloud.create_template(NAME, &odd, &[(NAME, ALL)]).is_err());
}

#[tokio::test]
async fn what_is_to_go_wrong_goes_wrong_in_its_order() {
    let core = core().await;
    let cloud = core.provisioning();
    let create = ProvisioningStep::CreateCertificate;
    cloud.goes_wrong(ProvisioningStep::RegisterThing, Mishap::LoseReply);
    cloud.goes_wrong(create, Mishap::DropBefore);
    let request = Request::parse("$aws/certificates/create-from-csr/json").unwrap();
    assert_eq!(cloud.answer("nobody", request, b"{}"), super::Fate::Ends);
    assert_eq!(cloud.answer("nobody", request, b"{}"), super::Fate::Stays);
    assert_eq!(cloud.mishaps_left(), 1);
}
