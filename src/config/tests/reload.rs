//! A changed file is seen by its contents, however it was changed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::GOOD;
use crate::{config::Source, config_file::ConfigError};

struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let this = Self { folder };
        fs::write(this.path("secret"), "kR7wq2Zp-Lx81vNcT0dY").unwrap();
        this.write(GOOD);
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, text: &str) {
        let secret = self.path("secret");
        let text = text.replace("/secrets/client-secret", secret.to_str().unwrap());
        fs::write(self.path("portcullis.yaml"), text).unwrap();
    }
}

fn secret(source: &mut Source) -> Option<String> {
    let settings = source.poll()?.unwrap();
    Some(settings.providers[0].authentication.shared_secret().unwrap().expose().to_owned())
}

#[test]
fn nothing_is_told_while_nothing_changes() {
    let folder = Folder::new();
    let (mut source, _) = Source::open(&folder.path("portcullis.yaml")).unwrap();
    assert!(source.poll().is_none());
    folder.write(GOOD);
    assert!(source.poll().is_none());
}

#[test]
fn a_changed_secret_is_a_change() {
    let folder = Folder::new();
    let (mut source, _) = Source::open(&folder.path("portcullis.yaml")).unwrap();
    fs::write(folder.path("secret"), "another-secret-4711").unwrap();
    assert_eq!(secret(&mut source).as_deref(), Some("another-secret-4711"));
    assert!(source.poll().is_none());
}

#[test]
fn a_wrong_change_is_told_once_and_mended_by_a_right_one() {
    let folder = Folder::new();
    let (mut source, _) = Source::open(&folder.path("portcullis.yaml")).unwrap();
    folder.write("colour: red");
    assert!(matches!(source.poll(), Some(Err(ConfigError::Fields(_)))));
    assert!(source.poll().is_none());
    fs::remove_file(folder.path("secret")).unwrap();
    folder.write(GOOD);
    assert!(matches!(source.poll(), Some(Err(ConfigError::Fields(_)))));
    fs::write(folder.path("secret"), "kR7wq2Zp-Lx81vNcT0dY").unwrap();
    assert!(matches!(source.poll(), Some(Ok(_))), "back to the first contents: in force again");
}

#[test]
fn the_swapped_links_of_a_mounted_volume_are_followed() {
    // As the kubelet does it: file -> ..data/file, ..data -> a folder with a date, swapped by a rename.
    let folder = Folder::new();
    let version = |name: &str, secret: &str| {
        fs::create_dir(folder.path(name)).unwrap();
        fs::write(folder.path(name).join("secret"), secret).unwrap();
    };
    let point = |to: &str| {
        std::os::unix::fs::symlink(to, folder.path("..data_tmp")).unwrap();
        fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
    };
    version("..one", "kR7wq2Zp-Lx81vNcT0dY");
    version("..two", "another-secret-4711");
    point("..one");
    fs::remove_file(folder.path("secret")).unwrap();
    std::os::unix::fs::symlink(Path::new("..data").join("secret"), folder.path("secret")).unwrap();

    let (mut source, _) = Source::open(&folder.path("portcullis.yaml")).unwrap();
    point("..two");
    assert_eq!(secret(&mut source).as_deref(), Some("another-secret-4711"));
}

#[test]
fn what_cannot_be_read_is_told() {
    let folder = Folder::new();
    let absent = Source::open(&folder.path("absent.yaml")).unwrap_err();
    assert!(absent.to_string().contains("absent.yaml: the configuration cannot be read"), "{absent}");
    assert!(matches!(Source::open(folder.folder.path()), Err(ConfigError::Unreadable { .. })));
}
