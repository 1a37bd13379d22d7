//! Changes of real files: all of a change takes effect, or none of it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use arc_swap::ArcSwap;
use prometheus_client::{encoding::text::encode, registry::Registry};

use crate::{
    app::reload::{Failures, Reloader},
    assembly::{Assembly, Keyrings, Metrics, Outside},
    clock::{ManualClock, SharedClock, Timestamp},
    config::Source,
    jose::AssertionKey,
    logging::{Log, Logging},
};

const START: u64 = 1_000_000;

/// A process' part that reloads, with its files.
struct Reloading {
    folder: tempfile::TempDir,
    source: Source,
    reloader: Reloader,
    registry: Registry,
    clock: std::sync::Arc<ManualClock>,
}

impl Reloading {
    async fn start() -> Self {
        Self::with_keys(|folder| Self::text(folder, "root-1", "assertion-1", "kubeflow")).await
    }

    async fn with_keys(text: impl FnOnce(&tempfile::TempDir) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["root-1", "root-2"] {
            fs::write(folder.path().join(name), crate::secret::random_bytes::<32>()).unwrap();
        }
        for name in ["assertion-1", "assertion-2"] {
            fs::write(folder.path().join(name), AssertionKey::generate_pem().expose()).unwrap();
        }
        let path = folder.path().join("portcullis.yaml");
        fs::write(&path, text(&folder)).unwrap();

        let manual = ManualClock::at(Timestamp::from_unix_seconds(START));
        let clock: SharedClock = manual.clone();
        let mut registry = Registry::with_prefix("portcullis");
        let metrics = Metrics::register(&mut registry);
        let (source, settings) = Source::open(&path).unwrap();
        let keyrings = Keyrings::open(&settings, &clock).unwrap();
        let assembly =
            Assembly::build(&settings, &keyrings, metrics.clone(), Outside::configured(clock.clone(), Log::nowhere()))
                .await
                .unwrap();
        metrics.config.started(clock.now());
        let reloader = Reloader {
            issuer: std::sync::Arc::new(ArcSwap::from_pointee(settings.assertion.issuer.clone())),
            drain: std::sync::Arc::new(ArcSwap::from_pointee(settings.drain)),
            logging: Logging::detached(settings.logging),
            in_force: settings,
            keyrings,
            assembly,
            check_tls: None,
            http_tls: None,
            admin_tls: None,
            metrics: metrics.config,
            clock,
            failures: Failures::default(),
        };
        Self { folder, source, reloader, registry, clock: manual }
    }

    /// `root` and `assertion` are names of files with commas between them.
    fn text(folder: &tempfile::TempDir, root: &str, assertion: &str, audience: &str) -> String {
        let paths = |names: &str| {
            let path = |name: &str| folder.path().join(name).display().to_string();
            names.split(',').map(path).collect::<Vec<_>>().join(", ")
        };
        format!(
            "keys: {{root: [{}], assertion: [{}]}}\nsessions: {{store: {{type: memory}}}}\nhosts: [a.example]\n\
             assertion: {{issuer: 'https://p.example', audience: {audience}}}\n",
            paths(root),
            paths(assertion),
        )
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.source.path().to_path_buf()
    }

    async fn look(&mut self) {
        let outcome = self.source.poll().expect("something changed");
        let path = self.path();
        self.reloader.configuration_changed(outcome, &path).await;
    }

    fn metric(&self, name: &str) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.and_then(|line| line.split(' ').nth(1)).unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
    }

    fn signing_key(&self) -> String {
        let ring = self.reloader.keyrings.assertion();
        let ring = ring.load();
        ring.signing_key(self.reloader.clock.now()).key_id().to_owned()
    }
}

#[tokio::test]
async fn a_good_change_takes_effect() {
    let mut reloading = Reloading::start().await;
    let before = reloading.reloader.assembly.checker().load_full();
    reloading.clock.advance(std::time::Duration::from_mins(1));
    reloading.write(&Reloading::text(&reloading.folder, "root-2,root-1", "assertion-1", "other"));
    reloading.look().await;

    assert_eq!(reloading.reloader.in_force.assertion.audience.as_str(), "other");
    assert!(!std::sync::Arc::ptr_eq(&before, &reloading.reloader.assembly.checker().load_full()));
    assert_eq!(reloading.reloader.keyrings.root().load().key_ids().count(), 2);
    assert_eq!(reloading.metric("portcullis_config_reload_failed"), "0");
    assert_eq!(reloading.metric("portcullis_config_last_success_timestamp_seconds"), (START + 60).to_string());
}

#[tokio::test]
async fn a_wrong_change_stays_visible_and_the_old_one_in_force() {
    let mut reloading = Reloading::start().await;
    let good = fs::read_to_string(reloading.path()).unwrap();
    let before = reloading.reloader.assembly.checker().load_full();
    reloading.write(&good.replace("kubeflow", "''"));
    reloading.look().await;
    assert_eq!(reloading.metric("portcullis_config_reload_failed"), "1");
    assert_eq!(reloading.metric("portcullis_config_last_success_timestamp_seconds"), START.to_string());
    assert_eq!(reloading.reloader.in_force.assertion.audience.as_str(), "kubeflow");
    assert!(std::sync::Arc::ptr_eq(&before, &reloading.reloader.assembly.checker().load_full()));

    reloading.write(&good);
    reloading.look().await;
    assert_eq!(reloading.metric("portcullis_config_reload_failed"), "0");
}

#[tokio::test]
async fn what_needs_a_restart_changes_nothing() {
    let mut reloading = Reloading::start().await;
    let good = fs::read_to_string(reloading.path()).unwrap();
    for change in [
        "listeners: {operations: {bind: '127.0.0.1:9999'}}\n",
        "listeners: {http: {bind: '127.0.0.1:9998'}}\n",
        "listeners: {check: {bind: 'unix:/run/other.sock'}}\n",
    ] {
        reloading.write(&format!("{}{change}", good.replace("kubeflow", "other")));
        reloading.look().await;
        assert_eq!(reloading.metric("portcullis_config_reload_failed"), "1", "{change}");
        assert_eq!(reloading.reloader.in_force.assertion.audience.as_str(), "kubeflow", "{change}");
    }
}

#[tokio::test]
async fn a_new_assertion_key_is_published_before_it_signs() {
    let mut reloading = Reloading::start().await;
    let first = reloading.signing_key();
    // Even where it is put in front at once.
    reloading.write(&Reloading::text(&reloading.folder, "root-1", "assertion-2,assertion-1", "kubeflow"));
    reloading.clock.advance(std::time::Duration::from_hours(2));
    reloading.look().await;
    assert_eq!(reloading.reloader.keyrings.assertion().load().keys().len(), 2);
    assert_eq!(reloading.signing_key(), first);
    reloading.clock.advance(std::time::Duration::from_mins(90));
    assert_ne!(reloading.signing_key(), first);
}

#[tokio::test]
async fn keys_that_are_added_to_our_own_folder_take_effect() {
    let mut reloading = Reloading::with_keys(|folder| {
        let own = format!("keys: {{directory: {}}}\n", folder.path().join("keys").display());
        let files = Reloading::text(folder, "root-1", "assertion-1", "kubeflow");
        files.lines().skip(1).fold(own, |text, line| text + line + "\n")
    })
    .await;
    let look = |reloading: &mut Reloading| {
        let changed = reloading.reloader.keyrings.watched().changed();
        reloading.reloader.own_keys_looked_at(changed);
    };
    let published = |reloading: &Reloading| reloading.reloader.keyrings.assertion().load().keys().len();
    look(&mut reloading);
    assert_eq!(published(&reloading), 1);
    assert_eq!(reloading.metric("portcullis_config_reloads_total"), "0", "what we made ourselves is no change");

    let added = reloading.folder.path().join("keys/assertion-2.pem");
    fs::write(&added, "not a key").unwrap();
    fs::set_permissions(&added, fs::Permissions::from_mode(0o600)).unwrap();
    look(&mut reloading);
    assert_eq!((published(&reloading), reloading.metric("portcullis_config_reload_failed").as_str()), (1, "1"));

    fs::write(&added, AssertionKey::generate_pem().expose()).unwrap();
    look(&mut reloading);
    assert_eq!((published(&reloading), reloading.metric("portcullis_config_reload_failed").as_str()), (2, "0"));
}
