//! The files that a page's configuration names, made in a folder of the test's.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_integration::pki::Authority;
use serde_json::Value;

/// A secret that no list of weak ones holds.
const SECRET: &str = "kR7wq2Zp-Lx81vNcT0dY-made-for-a-test";

/// Where the files are put.
pub(crate) struct Files<'a> {
    folder: &'a Path,
}

impl<'a> Files<'a> {
    pub(crate) fn in_folder(folder: &'a Path) -> Self {
        Self { folder }
    }

    /// Makes every file that a configuration names, and lets it name those. Sockets and what the process makes itself are
    /// moved there too.
    pub(crate) fn place(&self, config: &mut Value) {
        self.place_as("", config);
    }

    /// `name` is what the value is called where it stands.
    fn place_as(&self, name: &str, value: &mut Value) {
        match value {
            Value::Object(members) => members.iter_mut().for_each(|(name, value)| self.place_as(name, value)),
            Value::Array(values) => values.iter_mut().for_each(|value| self.place_as(name, value)),
            Value::String(text) => {
                if let Some(path) = text.strip_prefix("unix:") {
                    *text = format!("unix:{}", self.at(path).display());
                } else if let Some(contents) = contents(name).filter(|_| text.starts_with('/')) {
                    let path = self.at(text);
                    if let Contents::Text(contents) = contents {
                        fs::write(&path, contents).unwrap();
                    }
                    *text = path.display().to_string();
                }
            }
            _ => {}
        }
    }

    /// A path of the test's for a path of the page's; the folder that it lies in is made.
    fn at(&self, path: &str) -> PathBuf {
        let path = self.folder.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }
}

/// What lies at a path that a configuration names.
enum Contents {
    Text(String),
    /// The process makes it.
    Nothing,
}

/// What lies where a field of this name says; none for fields that name no file.
fn contents(name: &str) -> Option<Contents> {
    let key = || rcgen::KeyPair::generate().unwrap().serialize_pem();
    Some(match name {
        "directory" | "path" => Contents::Nothing,
        "file" | "password_file" | "client_assertion_file" => Contents::Text(SECRET.to_owned()),
        "root" => Contents::Text("a-root-key-of-32-bytes-or-more-for-this-test-alone".to_owned()),
        "ca_file" | "client_ca" => Contents::Text(Authority::new("an authority").unwrap().pem()),
        "client_key" | "assertion" => Contents::Text(key()),
        _ => return None,
    })
}
