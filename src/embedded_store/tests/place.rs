//! Where the file may be, and who may read it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use super::{Place, process, refused};
use crate::{
    embedded_store::{EmbeddedStore, OpenError as StoreOpenError},
    session::testing::now,
};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_new_store_is_ours_alone() {
    let place = Place::new();
    drop(place.open());
    assert_eq!(mode(&place.path()), 0o600);
    assert_eq!(mode(place.path().parent().unwrap()), 0o700);
    let entries: Vec<_> =
        fs::read_dir(place.path().parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(entries, [place.path()], "nothing of the making is left");
}

#[tokio::test]
async fn rights_of_others_are_taken_away() {
    let place = Place::new();
    let ticket = place.open().sign_in("user").await;
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o664)).unwrap();
    fs::set_permissions(place.path().parent().unwrap(), fs::Permissions::from_mode(0o2775)).unwrap();
    let world = place.open();
    assert_eq!(super::open(&world, &ticket).await, Ok(()));
    assert_eq!(mode(&place.path()), 0o600);
    assert_eq!(mode(place.path().parent().unwrap()), 0o700);
}

#[test]
fn links_are_not_followed() {
    let place = Place::new();
    drop(place.open());
    let folder = place.0.path();
    let store = place.path();

    symlink(&store, folder.join("sessions/link.redb")).unwrap();
    assert!(matches!(refused(&folder.join("sessions/link.redb")), StoreOpenError::SymbolicLink { .. }));
    symlink(folder.join("nothing"), folder.join("sessions/dangling.redb")).unwrap();
    assert!(matches!(refused(&folder.join("sessions/dangling.redb")), StoreOpenError::SymbolicLink { .. }));
    assert!(!folder.join("nothing").exists());
    symlink(folder.join("sessions"), folder.join("linked")).unwrap();
    assert!(matches!(refused(&folder.join("linked/sessions.redb")), StoreOpenError::SymbolicLink { .. }));
    // Where the new file is made.
    symlink(folder.join("elsewhere"), folder.join("sessions/other.redb.new")).unwrap();
    assert!(matches!(refused(&folder.join("sessions/other.redb")), StoreOpenError::SymbolicLink { .. }));
    assert!(!folder.join("elsewhere").exists());

    fs::hard_link(&store, folder.join("second-name")).unwrap();
    assert!(matches!(place.refused(), StoreOpenError::WrongKind { .. }));
}

#[test]
fn what_is_no_file_is_refused() {
    let place = Place::new();
    let folder = place.0.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::create_dir(folder.join("sessions.redb")).unwrap();
    assert!(matches!(refused(&folder.join("sessions.redb")), StoreOpenError::WrongKind { .. }));
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.join("pipe"), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    assert!(matches!(refused(&folder.join("pipe")), StoreOpenError::WrongKind { .. }));
    assert!(matches!(refused("/".as_ref()), StoreOpenError::NoFileName { .. }));
    assert!(matches!(refused("".as_ref()), StoreOpenError::NoFileName { .. }));
    fs::write(place.0.path().join("plain"), "").unwrap();
    assert!(matches!(refused(&place.0.path().join("plain/sessions.redb")), StoreOpenError::Io { .. }));
}

#[test]
fn a_second_opener_is_refused_and_the_first_works_on() {
    let place = Place::new();
    let world = place.open();
    let error = place.refused();
    assert!(matches!(error, StoreOpenError::AlreadyOpen { .. }));
    assert!(error.to_string().contains("another process has this session store open"), "{error}");
    let output = process::run("embedded_store::tests::place::opens_once", &place.path(), None);
    assert_eq!(output, ["AlreadyOpen"]);
    drop(world);
    assert_eq!(process::run("embedded_store::tests::place::opens_once", &place.path(), None), ["open"]);
}

#[test]
fn a_file_that_may_not_be_written_is_refused() {
    let place = Place::new();
    drop(place.open());
    let output = process::as_somebody_else(&place, || {
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o400)).unwrap();
    });
    assert_eq!(output, ["ReadOnly"]);
}

#[test]
fn a_folder_that_may_not_be_written_is_refused() {
    let place = Place::new();
    drop(place.open());
    let output = process::as_somebody_else(&place, || {
        fs::remove_file(place.path()).unwrap();
        let outer = place.path().parent().unwrap().to_owned();
        fs::remove_dir(&outer).unwrap();
        fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o555)).unwrap();
    });
    fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(output, ["ReadOnly"]);
    assert!(!place.path().exists());
}

#[test]
fn somebody_else_s_file_is_refused() {
    if !rustix::process::geteuid().is_root() {
        // Only root can give a file away.
        return;
    }
    let place = Place::new();
    drop(place.open());
    process::give_away(&place.path());
    assert!(matches!(place.refused(), StoreOpenError::Owner { .. }));
}

/// Started by the tests above.
#[test]
#[ignore = "a child of other tests"]
fn opens_once() {
    let Some(path) = process::path_of_child() else { return };
    match EmbeddedStore::open(&path, crate::clock::ManualClock::at(now())) {
        Ok(_) => process::say("open"),
        Err(error) => process::say(format!("{error:?}").split([' ', '{']).next().unwrap()),
    }
}
