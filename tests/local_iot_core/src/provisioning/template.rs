//! A provisioning template: which thing, certificate and policies a registration makes.
//!
//! Of what templates can have, there is what a fleet of equal devices needs: parameters, `Ref`, `Fn::Join`,
//! and policies by their name. What is not here is refused when the template is created.

use std::{collections::BTreeMap, io};

use serde::Deserialize;
use serde_json::Value;

use crate::{fill_policy, policy::Policy};

use super::requests::Rejection;

/// The parameter that the service fills in.
const CERTIFICATE_ID: &str = "AWS::IoT::Certificate::Id";

/// A template, read.
#[derive(Debug)]
pub(super) struct Template {
    parameters: BTreeMap<String, Parameter>,
    thing_name: Value,
    /// What the certificate becomes.
    status: String,
    /// The documents of the policies that it attaches.
    policies: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Body {
    parameters: BTreeMap<String, Parameter>,
    resources: BTreeMap<String, Resource>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Parameter {
    #[serde(rename = "Type")]
    _type: StringType,
    default: Option<String>,
}

#[derive(Debug, Deserialize)]
enum StringType {
    String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Resource {
    r#type: String,
    properties: Value,
    #[serde(default, rename = "OverrideSettings")]
    _override_settings: Value,
}

/// What a registration makes.
pub(super) struct Plan {
    pub(super) thing_name: String,
    pub(super) status: String,
    pub(super) policy: Policy,
}

impl Template {
    pub(super) fn read(body: &str, policies: &[(&str, &str)]) -> io::Result<Template> {
        let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        let body: Body = serde_json::from_str(body).map_err(|error| wrong(&error.to_string()))?;
        let (mut thing_name, mut status, mut named) = (None, None, Vec::new());
        for resource in body.resources.values() {
            let property = |name: &str| resource.properties.get(name);
            match resource.r#type.as_str() {
                "AWS::IoT::Thing" => thing_name = property("ThingName").cloned(),
                "AWS::IoT::Certificate" => {
                    status = property("Status").and_then(Value::as_str);
                }
                "AWS::IoT::Policy" => {
                    let name = property("PolicyName").and_then(Value::as_str);
                    let policy = policies.iter().find(|policy| Some(policy.0) == name);
                    let policy = policy.ok_or(wrong("a policy that is not there"))?;
                    named.push(policy.1.to_owned());
                }
                other => return Err(wrong(&format!("a resource of type {other}"))),
            }
        }
        let status = status.unwrap_or("Active").to_uppercase();
        if !matches!(status.as_str(), "ACTIVE" | "INACTIVE") {
            return Err(wrong("no status of a certificate"));
        }
        Ok(Template {
            parameters: body.parameters,
            thing_name: thing_name.ok_or(wrong("no thing with a ThingName"))?,
            status,
            policies: named,
        })
    }

    /// What it makes with these parameters.
    pub(super) fn plan(
        &self,
        mut parameters: BTreeMap<String, String>,
        certificate_id: &str,
    ) -> Result<Plan, Rejection> {
        parameters.insert(CERTIFICATE_ID.to_owned(), certificate_id.to_owned());
        let thing_name = self.resolve(&self.thing_name, &parameters)?;
        let is_in_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
        if !(1..=128).contains(&thing_name.len()) || !thing_name.chars().all(is_in_a_name) {
            let why = "Invalid thingName: must match [a-zA-Z0-9:_-]{1,128}";
            return Err(Rejection::new("ProvisioningFailed", why));
        }
        let policies = self.policies.iter().map(|text| {
            let text = text.replace("${iot:Connection.Thing.ThingName}", &thing_name);
            Policy::parse(&fill_policy(&text, &thing_name))
        });
        let policies: io::Result<Vec<Policy>> = policies.collect();
        let policies =
            policies.map_err(|error| Rejection::new("ProvisioningFailed", &error.to_string()))?;
        Ok(Plan {
            thing_name,
            status: self.status.clone(),
            policy: Policy::all_of(policies),
        })
    }

    fn resolve(
        &self,
        value: &Value,
        parameters: &BTreeMap<String, String>,
    ) -> Result<String, Rejection> {
        if let Some(text) = value.as_str() {
            return Ok(text.to_owned());
        }
        if let Some(name) = value["Ref"].as_str() {
            let default = || self.parameters.get(name)?.default.clone();
            let given = parameters.get(name).cloned().or_else(default);
            let why = format!("Cannot resolve reference value: {name}");
            return given.ok_or_else(|| Rejection::new("InvalidParameters", &why));
        }
        let (separator, parts) = (&value["Fn::Join"][0], &value["Fn::Join"][1]);
        if let (Some(separator), Some(parts)) = (separator.as_str(), parts.as_array()) {
            let parts = parts.iter().map(|part| self.resolve(part, parameters));
            return Ok(parts.collect::<Result<Vec<_>, _>>()?.join(separator));
        }
        Err(Rejection::new(
            "InvalidTemplate",
            "a function that is not known here",
        ))
    }
}
