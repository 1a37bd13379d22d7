use std::{fmt::Write as _, fs};

use clap::CommandFactory as _;

use super::*;

#[test]
fn a_name_that_begins_with_a_hyphen_is_no_option() {
    for arguments in [
        &["sessions", "revoke", "--session", "-M3cLZ6yT1qk"][..],
        &["sessions", "revoke", "--session", "--cLZ6yT1qkM"],
        &["sessions", "revoke", "--provider-sid", "-x"],
        &["sessions", "revoke", "--user", "-x"],
        &["sessions", "list", "--user", "-x"],
    ] {
        let parsed = Arguments::try_parse_from([&["portcullis"], arguments].concat());
        assert!(parsed.is_ok(), "{arguments:?}: {}", parsed.unwrap_err());
    }
    let mistaken = Arguments::try_parse_from(["portcullis", "sessions", "revoke", "--sesion", "x"]);
    assert!(mistaken.is_err(), "a mistaken option is told");
}

/// The help of a command and of all below it.
fn help(command: &mut clap::Command, name: &str, told: &mut String) {
    let _ = writeln!(told, "$ {name} --help\n{}", command.render_long_help());
    for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
        help(below, &format!("{name} {}", below.get_name()), told);
    }
}

#[test]
fn the_help_is_as_its_snapshot_says() {
    let mut told = String::new();
    let mut command = Arguments::command();
    command.build();
    help(&mut command, "portcullis", &mut told);
    insta::assert_snapshot!("help", told);
}

/// A configuration that a tester may start, with rules.
const CONFIGURATION: &str = "
keys: {directory: /var/lib/portcullis/keys}
sessions: {store: {type: memory}}
hosts: [kubeflow.example.com]
assertion: {issuer: 'https://portcullis.example.com', audience: kubeflow}
rules:
  - {name: admin, paths: [{prefix: /api}, {exact: /admin}], groups: [admins]}
";

#[test]
fn check_config_tells_what_its_snapshot_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.yaml");
    let cases = [
        ("good", CONFIGURATION.replace("exact: /admin", "prefix: /admin")),
        ("warned", CONFIGURATION.to_owned()),
        (
            "wrong",
            CONFIGURATION.replace("kubeflow.example.com]", "Kubeflow]").replace("audience: kubeflow", "audience: ''"),
        ),
        ("misspelt", CONFIGURATION.replace("hosts:", "host:").replace("issuer:", "isuer:")),
        ("no-yaml", CONFIGURATION.replace("memory}}", "memory}")),
        ("empty", String::new()),
    ];
    let mut told = String::new();
    for (name, text) in cases {
        fs::write(&file, text).unwrap();
        let (mut output, mut problems) = (Vec::new(), Vec::new());
        let code = check_config(&file, &mut output, &mut problems);
        let (output, problems) = (String::from_utf8(output).unwrap(), String::from_utf8(problems).unwrap());
        let _ = writeln!(told, "# {name}: {code:?}\n{output}{problems}");
    }
    insta::assert_snapshot!("check-config", told);
}
