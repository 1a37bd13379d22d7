//! What a profile is.

use super::site::{Person, Site};
use crate::jwt::Algorithm;
use crate::provider::{Client, Settings, Shape, Ways};
use crate::registration::{post_logout_redirect_uri, redirect_uri};

/// How one real provider answers.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The name of its page, `docs/providers/PAGE.md`.
    pub page: &'static str,
    /// What the fence on the page holds that tells the configuration for this profile; none for the page's own.
    pub variant: Option<&'static str>,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Its ways.
    pub ways: Ways,
    /// Who can sign in, alice the first.
    pub people: fn(&Site) -> Vec<Person>,
    /// What stays refused.
    pub attack: Attack,
}

/// An ID token that must sign nobody in, though the provider signed it.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// What is wrong.
    pub what: &'static str,
    /// Makes it of an honest one, in the provider's own shape.
    pub claims: Shape,
    /// Why it is refused.
    pub reason: &'static str,
}

impl Profile {
    /// The set-up of a provider of this profile, for the people of a site.
    #[must_use]
    pub fn settings(&self, site: &Site) -> Settings {
        let client = Client {
            redirect_uris: vec![redirect_uri()],
            post_logout_redirect_uris: vec![post_logout_redirect_uri()],
            ..Client::default()
        };
        Settings {
            algorithm: self.algorithm,
            clients: vec![client],
            users: (self.people)(site).into_iter().map(|person| person.user).collect(),
            refresh_tokens: true,
            ways: self.ways.clone(),
            ..Settings::default()
        }
    }

    /// What its page or variant is called in messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.variant.map_or_else(|| self.page.to_owned(), |variant| format!("{}, {variant}", self.page))
    }
}
