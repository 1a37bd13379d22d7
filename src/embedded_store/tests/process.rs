//! Tests that need a process of their own start this test binary again, for one test that is otherwise ignored.

use std::{
    io::{Write as _, stdout},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Place;

const PATH: &str = "PORTCULLIS_TEST_STORE";
/// What a child says stands after this, apart from what the test harness writes.
const MARK: &str = "child: ";
/// `nobody`, on every system that matters.
const NOBODY: u32 = 65_534;

/// A child that runs one test on a store.
pub(super) fn command(test: &str, path: &Path) -> Command {
    // By this name it starts whoever it runs as.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(PATH, path).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

/// Runs a child to its end; what it said.
pub(super) fn run(test: &str, path: &Path, user: Option<u32>) -> Vec<String> {
    let mut command = command(test, path);
    if let Some(user) = user {
        command.uid(user);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    said.lines().filter_map(heard).map(ToOwned::to_owned).collect()
}

/// What a child said in a line.
pub(super) fn heard(line: &str) -> Option<&str> {
    // The harness may have begun the line.
    line.split_once(MARK).map(|(_, said)| said)
}

/// Says something to the parent.
pub(super) fn say(text: &str) {
    let mut stdout = stdout().lock();
    writeln!(stdout, "{MARK}{text}").unwrap();
    stdout.flush().unwrap();
}

/// The store that a child works on; nothing where nobody started it as one.
pub(super) fn path_of_child() -> Option<PathBuf> {
    std::env::var_os(PATH).map(PathBuf::from)
}

/// Opens the store as a user for whom modes count: root may do everything. What came of it.
pub(super) fn as_somebody_else(place: &Place, prepare: impl FnOnce()) -> Vec<String> {
    let user = if rustix::process::geteuid().is_root() {
        std::fs::set_permissions(place.0.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        give_away(place.path().parent().unwrap());
        give_away(&place.path());
        Some(NOBODY)
    } else {
        None
    };
    prepare();
    run("embedded_store::tests::place::opens_once", &place.path(), user)
}

/// Makes somebody else the owner.
pub(super) fn give_away(path: &Path) {
    std::os::unix::fs::chown(path, Some(NOBODY), None).unwrap();
}
