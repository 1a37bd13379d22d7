//! One migration under way: what is left of the settings, what is written so far, and what is told.

use std::time::Duration;

use super::verdict;
use crate::{
    config_draft::{Draft, Fields},
    gatekeepers::{Container, Report, Setting, Settings, Value, Variable, go},
};

/// A migration under way.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) settings: Settings,
    pub(super) draft: Draft,
    pub(super) report: Report,
}

impl Work {
    /// Adds a setting, which counts more than those that were added before.
    pub(super) fn add(&mut self, name: &str, spelled: &str, value: Value, place: &str) {
        let (name, spelled, place) = (name.to_owned(), spelled.to_owned(), place.to_owned());
        self.settings.add(Setting { name, spelled, place, value }, &mut self.report);
    }

    /// The variables of a container. Where all of an object are among them that is not there, it is left to be given.
    pub(super) fn environment(&mut self, container: &Container<'_>) -> Vec<Variable> {
        let (named, missing): (Vec<Variable>, _) =
            container.environment().into_iter().partition(|variable| !variable.name.is_empty());
        for object in missing {
            self.report.by_hand(format!("give {} as well: it is not among the files", object.place));
        }
        named
    }

    /// Takes a setting whose value is known. Where the value lies elsewhere, `to` is left to be written by hand.
    pub(super) fn known(&mut self, name: &str, to: &str) -> Option<Setting> {
        let setting = self.settings.take(name)?;
        if setting.items().is_some() {
            return Some(setting);
        }
        self.report.by_hand(format!("{}: its value is in none of the files; write it as `{to}`", setting.told()));
        None
    }

    /// Takes a setting that is one text, which is known.
    pub(super) fn text(&mut self, name: &str, to: &str) -> Option<(Setting, String)> {
        let setting = self.known(name, to)?;
        let text = setting.text().map(str::to_owned);
        if text.is_none() {
            self.report.dropped(setting.told(), "it is no single value");
        }
        text.map(|text| (setting, text))
    }

    /// Takes a switch; one that cannot be read is told.
    pub(super) fn switch(&mut self, name: &str) -> Option<(Setting, bool)> {
        let (setting, text) = self.text(name, "the setting in its place")?;
        let switch = go::switch(&text);
        if switch.is_none() {
            self.report.dropped(setting.told(), "it is neither true nor false");
        }
        switch.map(|switch| (setting, switch))
    }

    /// Takes a switch, and tells that it is off; else there is something to carry over.
    pub(super) fn switched_on(&mut self, name: &str) -> Option<Setting> {
        let (setting, is_on) = self.switch(name)?;
        if !is_on {
            self.report.dropped(setting.told(), "it is off");
        }
        is_on.then_some(setting)
    }

    /// Takes a switch that has no counterpart, with a reason for each position.
    pub(super) fn drop_switch(&mut self, name: &str, on: &str, off: &str) {
        if let Some((setting, is_on)) = self.switch(name) {
            self.report.dropped(setting.told(), if is_on { on } else { off });
        }
    }

    /// Takes settings that have no counterpart, each with the reason.
    pub(super) fn drop_each(&mut self, reasons: &[(&str, &str)]) {
        for (name, why) in reasons {
            if let Some(setting) = self.settings.take(name) {
                self.report.dropped(setting.told(), *why);
            }
        }
    }

    /// Takes what restricts who may pass and cannot be carried over: nobody passes until the operator has decided.
    pub(super) fn close(&mut self, setting: &Setting, todo: &str) {
        self.report.dropped(setting.told(), todo);
        self.close_for(&setting.told());
    }

    /// Nobody passes until the operator has decided what takes the place of this.
    pub(super) fn close_for(&mut self, told: &str) {
        self.report.by_hand(verdict::closed(told));
        self.draft.everybody.closed.push(told.to_owned());
    }

    /// Tells what nobody took.
    pub(super) fn tell_rest(&mut self) {
        for setting in std::mem::take(&mut self.settings).rest() {
            self.report.unknown(setting.told());
        }
    }

    /// For how long sessions live. Before us there was no other bound, so that the idle lifetime is as long.
    pub(super) fn set_lifetime(&mut self, lifetime: &str, comment: impl Into<String>) {
        let sessions = &mut self.draft.sessions;
        sessions.set("absolute_lifetime", lifetime, comment);
        sessions.set("idle_lifetime", lifetime, "There was no other bound before. The default is 8h.");
    }

    /// For how long a setting says that sessions live.
    pub(super) fn lifetime(&mut self, setting: &Setting, lifetime: Duration) {
        const LONGEST: Duration = Duration::from_hours(30 * 24);
        let to = "sessions.absolute_lifetime";
        if lifetime.as_secs() == 0 {
            self.report.changed(setting.told(), to, "a session as long as the browser runs; now it is 24 h at most");
            return;
        }
        self.set_lifetime(&go::written(lifetime.min(LONGEST)), setting.told());
        if lifetime > LONGEST {
            self.report.changed(setting.told(), to, "30 days are the longest");
        } else {
            self.report.carried(setting.told(), to);
        }
    }
}

/// Sets a text where its setting is known, and tells that it is carried over.
pub(super) fn carry(fields: &mut Fields, report: &mut Report, key: &str, to: &str, (setting, text): (Setting, String)) {
    report.carried(setting.told(), to);
    fields.set(key, text, setting.told());
}
