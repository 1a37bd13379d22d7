//! Keycloak for real: what its administrators set up, do and take away, and what becomes of people's sessions here.
//!
//! One server serves all tests, each of which has a realm of its own, so this suite brings its own `main`: it starts
//! Keycloak when the first test needs it, and stops it at the end.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "keycloak/followed.rs"]
mod followed;
#[path = "keycloak/ground.rs"]
mod ground;
#[path = "keycloak/keys.rs"]
mod keys;
#[path = "keycloak/signed_in.rs"]
mod signed_in;
#[path = "keycloak/signed_out.rs"]
mod signed_out;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use futures::FutureExt as _;
use libtest_mimic::{Arguments, Failed, Trial};
use portcullis_integration::keycloak::Keycloak;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use followed::{
    strict_by_introspection_wants_the_client_in_the_audience, strict_by_userinfo_wants_no_audience,
    tokens_are_refreshed_with_rotation_and_groups_follow, what_an_administrator_ends_ends_at_the_next_refresh,
};
use keys::{a_client_says_who_it_is_by_a_key, keys_that_change_right_after_a_fetch_lose_nobody};
use signed_in::{
    groups_decide_with_their_path, realm_roles_decide, somebody_in_500_groups_signs_in_and_out,
    the_first_try_signs_people_in,
};
use signed_out::{
    a_session_ends_by_its_sid, a_sign_out_here_goes_to_keycloak_and_comes_back, everybody_s_sessions_end_by_sub,
    whoever_signs_out_at_keycloak_is_signed_out_here,
};

/// Most of a test is waiting for the other side.
const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let stage = Arc::new(Stage { runtime: Runtime::new().unwrap(), keycloak: OnceCell::new() });
    let conclusion = libtest_mimic::run(&arguments, trials(&stage));
    // `main` ends by a return, so that the server stops and its folder goes.
    drop(stage);
    conclusion.exit_code()
}

fn trials(stage: &Arc<Stage>) -> Vec<Trial> {
    macro_rules! trials {
        ($($test:ident),+ $(,)?) => {
            vec![$({
                let stage = Arc::clone(stage);
                Trial::test(stringify!($test), move || stage.run(async |keycloak| $test(keycloak).await))
            }),+]
        };
    }
    trials![
        what_an_administrator_ends_ends_at_the_next_refresh,
        tokens_are_refreshed_with_rotation_and_groups_follow,
        keys_that_change_right_after_a_fetch_lose_nobody,
        strict_by_introspection_wants_the_client_in_the_audience,
        strict_by_userinfo_wants_no_audience,
        somebody_in_500_groups_signs_in_and_out,
        the_first_try_signs_people_in,
        realm_roles_decide,
        groups_decide_with_their_path,
        a_session_ends_by_its_sid,
        everybody_s_sessions_end_by_sub,
        whoever_signs_out_at_keycloak_is_signed_out_here,
        a_sign_out_here_goes_to_keycloak_and_comes_back,
        a_client_says_who_it_is_by_a_key,
    ]
}

/// Keycloak, which starts when the first test needs it.
struct Stage {
    runtime: Runtime,
    /// What went wrong where it did not start.
    keycloak: OnceCell<Result<Keycloak, String>>,
}

impl Stage {
    fn run(&self, test: impl AsyncFnOnce(&Keycloak)) -> Result<(), Failed> {
        self.runtime.block_on(async {
            let start = async || Keycloak::start().await.map_err(|error| format!("{error:#}"));
            let keycloak = self.keycloak.get_or_init(start).await.as_ref()?;
            let outcome = AssertUnwindSafe(test(keycloak)).catch_unwind().await;
            // The panic's message is on the screen already.
            outcome.map_err(|_| keycloak.log_tail().into())
        })
    }
}
