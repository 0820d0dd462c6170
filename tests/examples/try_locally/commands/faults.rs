//! Commands about faults.

use std::error::Error;

use local_iot_core::{Fault, Faults, Times, breaches, fault_names, fault_operations};

use super::words::number;

pub fn list() -> String {
    let line = |(name, what): &(&str, &str)| format!("{name:<34} {what}");
    let operation = |(name, what): &(&str, &str)| format!("    {name:<30} {what}");
    let names = fault_names().iter().map(line);
    let operations = fault_operations().iter().map(operation);
    let heading = "OP is one of".to_owned();
    let breach = |(name, _, what): &(&str, _, &str)| format!("    {name:<30} {what}");
    let breaches = ["BREACH is one of".to_owned()]
        .into_iter()
        .chain(breaches().iter().map(breach));
    let end = "CODE is a reason code such as 0x87. What stands in brackets can be left out.";
    let lines = names.chain([heading]).chain(operations).chain(breaches);
    lines.chain([end.to_owned()]).collect::<Vec<_>>().join("\n")
}

pub fn arm(faults: &Faults, rest: &str) -> Result<String, Box<dyn Error>> {
    if rest.is_empty() {
        return Err("fault needs a name; `faults` lists them".into());
    }
    let (name, times) = match rest.rsplit_once(" x") {
        Some((_, "0")) => return Err("x0 is never: leave the fault out".into()),
        Some((name, count)) => (name, Times::Count(number(count, "times, such as x2")?)),
        None => (rest, Times::Once),
    };
    let fault: Fault = name
        .parse()
        .map_err(|error| format!("{error}; `faults` lists what can be told"))?;
    let answer = format!("armed: {fault}");
    faults.add(fault, times);
    Ok(answer)
}

/// What is still to strike, a line each.
pub fn armed(faults: &Faults) -> String {
    let armed = faults.armed();
    let line = |(fault, times): &(Fault, Times)| format!("{fault}, {times}");
    if armed.is_empty() {
        return "no faults are armed".to_owned();
    }
    armed.iter().map(line).collect::<Vec<_>>().join("\n")
}
