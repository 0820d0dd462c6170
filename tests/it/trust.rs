//! What a user trusts when they build this: licences, the stated Rust version, what is packaged.

use std::process::Command;

use serde_json::Value;

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The packages that the binary is made of, on this system.
fn packages_of_the_binary() -> Vec<Value> {
    let version = Command::new("rustc").arg("-vV").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let metadata = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        host,
    ]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let mut wanted = vec![metadata["resolve"]["root"].clone()];
    let mut next = 0;
    while next < wanted.len() {
        let node = nodes
            .iter()
            .find(|node| node["id"] == wanted[next])
            .unwrap();
        for dependency in node["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            let in_binary = kinds.iter().any(|kind| kind["kind"].is_null());
            if in_binary && !wanted.contains(&dependency["pkg"]) {
                wanted.push(dependency["pkg"].clone());
            }
        }
        next += 1;
    }
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .filter(|package| wanted.contains(&package["id"]))
        .cloned()
        .collect()
}

#[test]
fn every_package_in_the_binary_has_a_permissive_licence() {
    let allowed = [
        "MIT",
        "Apache-2.0",
        "BSD-3-Clause",
        "ISC",
        "Unicode-3.0",
        "Unlicense",
    ];
    let packages = packages_of_the_binary();
    assert!(packages.len() > 50, "{}", packages.len());
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none");
        // Each alternative is a list of licences that apply together; one alternative is enough.
        let flat = licence.replace(['(', ')'], "").replace('/', " OR ");
        let fits = |one: &str| allowed.contains(&one.trim());
        let alternatives: Vec<&str> = match flat.contains(" AND ") {
            true => vec![flat.as_str()],
            false => flat.split(" OR ").collect(),
        };
        let acceptable = alternatives.iter().any(|alternative| {
            alternative
                .split(" AND ")
                .all(|part| part.split(" OR ").any(fits))
        });
        assert!(acceptable, "{}: {licence}", package["name"]);
    }
}

#[test]
fn the_stated_rust_version_is_what_the_dependencies_ask_for() {
    let minor = |package: &Value| -> u32 {
        let version = package["rust_version"].as_str().unwrap_or("1.0");
        version.split('.').nth(1).unwrap().parse().unwrap()
    };
    let packages = packages_of_the_binary();
    let (ours, others): (Vec<_>, Vec<_>) = packages
        .iter()
        .partition(|package| package["name"] == "jobs-mqtt5");
    assert_eq!(
        others.iter().map(|package| minor(package)).max(),
        Some(minor(ours[0]))
    );
}

#[test]
fn ci_tries_the_stated_rust_version() {
    let workflow = include_str!("../../.github/workflows/ci.yml");
    let versions = format!("rust: [stable, \"{}\"]\n", env!("CARGO_PKG_RUST_VERSION"));
    assert!(workflow.contains(&versions), "{workflow}");
}

#[test]
fn the_package_has_what_a_user_needs_and_nothing_else() {
    let list = cargo(&[
        "package",
        "--list",
        "--allow-dirty",
        "--package",
        "jobs-mqtt5",
    ]);
    for file in list.lines() {
        let expected = file.starts_with("src/")
            || file.starts_with("src\\")
            || [
                "Cargo.toml",
                "Cargo.toml.orig",
                "Cargo.lock",
                "README.md",
                "policy.json",
                "LICENSE",
            ]
            .contains(&file)
            || file == ".cargo_vcs_info.json";
        assert!(expected, "{file}");
    }
    for needed in [
        "src/main.rs",
        "README.md",
        "policy.json",
        "LICENSE",
        "Cargo.lock",
    ] {
        assert!(
            list.replace('\\', "/").lines().any(|file| file == needed),
            "{needed}"
        );
    }
}

#[test]
fn the_licence_that_ships_is_the_one_that_is_stated() {
    let text = include_str!("../../LICENSE");
    assert_eq!(env!("CARGO_PKG_LICENSE"), "Apache-2.0");
    assert!(text.contains("Apache License\n                           Version 2.0, January 2004"));
    assert!(text.contains("9. Accepting Warranty or Additional Liability."));
}
