//! The commands of the README and the lessons, run by a shell with stand-ins for what they call.
#![cfg(unix)]

use std::collections::BTreeSet;

use serde_json::Value;

use super::reading::{lesson, read, section, shell_blocks};
use super::stand_ins::{CERTIFICATE_ID, ENDPOINT, run};

#[test]
fn each_sed_command_makes_a_policy_of_the_template() {
    let of_the_connection = "${iot:Connection.Thing.ThingName}";
    for (text, file, client, thing) in [
        (
            section("A policy"),
            "my-policy.json",
            "test-*",
            "my-first-thing",
        ),
        (
            lesson(5),
            "production-policy.json",
            of_the_connection,
            of_the_connection,
        ),
    ] {
        let sed = shell_blocks(text)
            .into_iter()
            .find(|block| block.contains("sed "));
        let sed = sed.unwrap();
        let sed = sed.split("\nVERSION=").next().unwrap();
        let sed = sed.split("\naws ").next().unwrap();
        let names = "REGION=eu-central-1 ACCOUNT=123456789012 THING=my-first-thing\n";
        let ran = run(&format!("{names}{sed}\ncat {file}"));
        assert!(
            !ran.out.contains(['<', '>']),
            "a placeholder is left: {}",
            ran.out
        );
        let policy: Value = serde_json::from_str(&ran.out).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let resources = statements
            .iter()
            .flat_map(|statement| match &statement["Resource"] {
                Value::Array(many) => many.clone(),
                one => vec![one.clone()],
            });
        let arns: BTreeSet<String> = resources.map(|arn| arn.as_str().unwrap().into()).collect();
        for arn in [
            format!("client/{client}"),
            format!("topic/$aws/things/{thing}/jobs/start-next"),
            format!("topic/$aws/things/{thing}/jobs/*/update"),
            format!("topicfilter/$aws/things/{thing}/jobs/notify-next"),
        ] {
            let arn = format!("arn:aws:iot:eu-central-1:123456789012:{arn}");
            assert!(arns.contains(&arn), "{arn} is not among {arns:#?}");
        }
        // A variable for the client id is safe only for a certificate that is attached to the thing.
        let attached = |statement: &Value| {
            statement["Action"] == "iot:Connect"
                && statement["Condition"]["Bool"]["iot:Connection.Thing.IsAttached"] == "true"
        };
        assert_eq!(statements.iter().any(attached), client == of_the_connection);
        let size = ran.out.chars().filter(|c| !c.is_whitespace()).count();
        assert!(size <= 2048, "AWS takes no policy of {size} characters");
    }
}

#[test]
fn the_region_is_found_in_the_endpoint_of_each_partition() {
    let set_up = &shell_blocks(section("On AWS"))[0];
    let command = set_up.lines().find(|line| line.starts_with("REGION="));
    let command = command.unwrap();
    for (endpoint, region) in [
        (ENDPOINT, "eu-central-1"),
        ("a1b2c3.ats.iot.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        (
            "a1b2c3-ats.iot.us-gov-west-1.amazonaws.com",
            "us-gov-west-1",
        ),
    ] {
        let ran = run(&format!("ENDPOINT={endpoint}\n{command}\necho $REGION"));
        assert_eq!(ran.out.trim(), region, "{endpoint}");
    }
    // policy.json has the partition of most; the others are told of.
    for partition in ["`arn:aws-cn`", "`arn:aws-us-gov`"] {
        assert!(section("A policy").contains(partition), "{partition}");
    }
}

/// Runs the course as a reader does on AWS, from top to bottom: every variable is set before it is
/// used, git takes none of the files, the program takes its flags, and all that is made is taken away
/// again. (On the reader's own machine, `tests/course/run` does the real thing.)
#[test]
fn the_course_on_aws_hangs_together_and_leaves_nothing_behind() {
    let course = section("The course");
    let local: Vec<String> = shell_blocks(section("On your machine"));
    let mut blocks = shell_blocks(course);
    let clean_up = &shell_blocks(section("The clean-up"))[0];
    let clean_up = blocks.iter().position(|block| block == clean_up).unwrap();
    let lessons = (2..=5).flat_map(|number| shell_blocks(lesson(number)));
    blocks.splice(clean_up..clean_up, lessons);
    let on_aws: String = blocks
        .into_iter()
        .filter(|block| !local.contains(block) && !block.contains("ministack"))
        .collect();
    let ran = run(&on_aws);
    assert_eq!(ran.files, ["policy.json"], "a file is left behind");

    let position = |command: &str| {
        let called = ran
            .calls
            .iter()
            .position(|call| call.get(2).is_some_and(|c| c == command));
        called.unwrap_or_else(|| panic!("{command} is never called"))
    };
    for (first, then) in [
        ("create-job", "describe-job-execution"),
        ("create-job", "delete-job"),
        ("create-thing", "delete-thing"),
        ("create-thing-group", "delete-thing-group"),
        ("create-keys-and-certificate", "delete-certificate"),
        ("create-policy", "delete-policy"),
        ("create-role", "delete-role"),
        ("attach-thing-principal", "detach-thing-principal"),
        ("attach-policy", "detach-policy"),
        ("mb", "rb"),
        // AWS deletes nothing that is attached or in use, and no certificate that is active.
        ("detach-thing-principal", "delete-certificate"),
        ("detach-policy", "delete-certificate"),
        ("detach-policy", "delete-policy"),
        ("update-certificate", "delete-certificate"),
        ("create-policy-version", "delete-policy-version"),
        ("delete-policy-version", "delete-policy"),
        ("put-role-policy", "delete-role-policy"),
        ("delete-role-policy", "delete-role"),
    ] {
        assert!(
            position(first) < position(then),
            "{first} belongs before {then}"
        );
    }
    let delete = &ran.calls[position("delete-certificate")];
    assert_eq!(delete[3..], ["--certificate-id", CERTIFICATE_ID]);
    for (made, gone, flag) in [
        ("create-job", "delete-job", "--job-id"),
        ("create-thing", "delete-thing", "--thing-name"),
    ] {
        let names = |command: &str| -> BTreeSet<&String> {
            let calls = ran.calls.iter();
            let calls = calls.filter(|call| call.get(2).is_some_and(|c| c == command));
            calls.map(|call| value_of(call, flag)).collect()
        };
        assert_eq!(names(made), names(gone), "{made} and {gone}");
    }

    let mut made: Vec<&str> = vec!["ca.pem", "my-policy.json", "device.env", "installed"];
    made.extend(["firmware-1.4.2.bin", "firmware-job.json"]);
    for pair in ran.calls[position("create-keys-and-certificate")].windows(2) {
        if pair[0].ends_with("-outfile") {
            made.push(&pair[1]);
        }
    }
    use clap::Parser;
    let devices: Vec<&Vec<String>> = ran.calls.iter().filter(|call| call[0] == "cargo").collect();
    assert!(devices.len() > 5);
    for cargo in devices {
        let dashes = cargo.iter().position(|argument| argument == "--").unwrap();
        let mut flags = cargo[dashes..].to_vec();
        if let Some(folder) = flags.iter().position(|flag| flag == "--folder") {
            flags.drain(folder..folder + 2); // the worked example's own
        }
        let flags = jobs_mqtt5::cli::Flags::try_parse_from(flags).unwrap();
        assert_eq!(flags.endpoint, ENDPOINT);
        for file in [flags.cert, flags.key, flags.ca_file.unwrap()] {
            assert!(
                made.contains(&file.to_str().unwrap()),
                "{file:?} is not made"
            );
        }
    }
    for file in made {
        let extension = format!("*.{}", file.rsplit('.').next().unwrap());
        let begins = format!("/{}-*", file.split('-').next().unwrap());
        let ignored = read(".gitignore").lines().any(|line| {
            line == extension || line == begins || line.trim_end_matches('/') == format!("/{file}")
        });
        assert!(ignored, "git would take {file}");
    }
}

#[test]
fn the_settings_of_the_jobs_are_what_the_service_takes() {
    let of_the_group = shell_blocks(lesson(4)).concat();
    let ran = run(&format!(
        "THING=my-first-thing GROUP=my-things ENDPOINT={ENDPOINT}\n: > device.env\n{of_the_group}"
    ));
    let create_job = |call: &&Vec<String>| call[2] == "create-job";
    let job = ran.calls.iter().find(create_job).unwrap();
    for (setting, field) in [
        ("--document", "operation"),
        ("--job-executions-rollout-config", "exponentialRate"),
        ("--abort-config", "criteriaList"),
    ] {
        let json: Value = serde_json::from_str(value_of(job, setting)).unwrap();
        assert!(!json[field].is_null(), "{setting} has no {field}");
    }

    let firmware = shell_blocks(lesson(3));
    let firmware = firmware.iter().find(|block| block.contains("release() {"));
    let firmware = firmware.unwrap().split("\nfirmware 1.4.2").next().unwrap();
    let names = "REGION=eu-central-1 BUCKET=my-bucket THING_ARN=a ROLE_ARN=r";
    let release = "echo firmware > firmware-1.4.2.bin; release 1.4.2 c2ln '' > /dev/null";
    let ran = run(&format!(
        "{names}\n{firmware}\n{release}\ncat firmware-job.json"
    ));
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    let url = "https://s3.eu-central-1.amazonaws.com/my-bucket/firmware-1.4.2.bin";
    assert_eq!(
        document["url"],
        format!("${{aws:iot:s3-presigned-url-v2:{url}}}")
    );
    assert_eq!(document["size"], "firmware\n".len());
    assert_eq!(document["signature"], "c2ln");
}

/// What follows the flag.
fn value_of<'a>(call: &'a [String], flag: &str) -> &'a String {
    let at = call.iter().position(|argument| argument == flag);
    &call[at.unwrap_or_else(|| panic!("{call:?} has no {flag}")) + 1]
}
