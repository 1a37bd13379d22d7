//! One migration under way: what is left of the settings, what is written so far, and what is told.

use std::time::Duration;

use super::{
    draft::Draft,
    found::{Setting, Settings},
    go,
    report::Report,
    tree::Fields,
    verdict,
};

/// A migration under way.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) settings: Settings,
    pub(super) draft: Draft,
    pub(super) report: Report,
}

impl Work {
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
    pub(super) fn lifetime(&mut self, setting: &Setting, lifetime: Duration) {
        const LONGEST: Duration = Duration::from_hours(30 * 24);
        let to = "sessions.absolute_lifetime";
        if lifetime.as_secs() == 0 {
            self.report.changed(setting.told(), to, "a session as long as the browser runs; now it is 24 h at most");
            return;
        }
        let text = go::written(lifetime.min(LONGEST));
        let sessions = &mut self.draft.sessions;
        sessions.set("absolute_lifetime", text.as_str(), setting.told());
        sessions.set("idle_lifetime", text.as_str(), "There was no other bound before. The default is 8h.");
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
