//! The policy that is in force.

use std::error::Error;
use std::fs;

use local_iot_core::Options;

use super::Origin;

/// What a product is allowed that takes the program for more than jobs: also to have the thing's name
/// as its client ID, telemetry on `dt/THING/*`, commands on `cmd/THING/*`, and the thing's shadows.
pub const PRODUCT: &str = include_str!("../product_policy.json");

/// The text of a policy: `product`, the `sample`'s, JSON as it is, or what a file holds.
///
/// # Errors
/// If it is a file that can't be read, or a file at all and the page asks.
pub fn read(which: &str, from: Origin) -> Result<String, Box<dyn Error>> {
    match which {
        "product" => Ok(PRODUCT.to_owned()),
        "sample" => Ok(Options::default().policy),
        json if json.starts_with('{') => Ok(json.to_owned()),
        file => {
            from.at_terminal()?;
            fs::read_to_string(file)
                .map_err(|error| format!("The policy {file} can't be read: {error}").into())
        }
    }
}

/// The policy with a word on which it is.
pub fn shown(text: &str) -> String {
    let name = if text == PRODUCT {
        "The product's policy is in force (`policy sample` for the sample's):"
    } else if text == Options::default().policy {
        "The sample's policy, policy.json, is in force:"
    } else {
        "A policy of your own is in force:"
    };
    format!("{name}\n{}", text.trim_end())
}
