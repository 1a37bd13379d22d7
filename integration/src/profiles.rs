//! The real providers, as far as they differ: one scripted profile of each that has a page in `docs/providers`.
//!
//! A profile is data: which endpoints there are, what the discovery document says, the shape of the claims, when a refresh
//! token comes, how a sign-out goes, and what the provider's logout tokens hold. [`crate::provider`] plays it.

mod adfs;
mod cognito_gitlab_zitadel;
mod dex_keycloak;
mod entra;
mod google_okta_auth0;
mod hydra_authentik;
mod profile;
mod site;

pub use self::profile::{Attack, Profile};
pub use self::site::{Membership, Person, Site};

/// All profiles, the pages' own and the variants.
#[must_use]
pub fn all() -> Vec<Profile> {
    vec![
        dex_keycloak::dex(),
        dex_keycloak::keycloak(),
        hydra_authentik::hydra(),
        hydra_authentik::authentik(),
        entra::entra(),
        entra::entra_v1(),
        entra::b2c(),
        adfs::adfs(),
        google_okta_auth0::google(),
        google_okta_auth0::okta(),
        google_okta_auth0::auth0(),
        cognito_gitlab_zitadel::cognito(),
        cognito_gitlab_zitadel::gitlab(),
        cognito_gitlab_zitadel::zitadel(),
    ]
}
