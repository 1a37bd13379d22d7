//! The contracts of a store as tests. Each backend runs all of them: `contract::run!(factory)` in its tests, where
//! `factory` makes a fresh [`World`](super::testing::World) and whatever must outlive it.

mod expiry;
mod leases;
mod logouts;
mod marks;
mod observers;
mod revocations;
mod sessions;
mod support;

pub(crate) use self::{
    expiry::*,
    leases::*,
    logouts::*,
    marks::*,
    observers::*,
    revocations::*,
    sessions::*,
    support::{name, record, subject_of},
};

macro_rules! cases {
    ($($case:ident,)+) => {
        /// Runs every case on worlds that `$factory` makes: `async fn() -> (World, impl Sized)`.
        macro_rules! run {
            ($factory:path) => {$(
                #[tokio::test]
                async fn $case() {
                    let (world, _alive) = $factory().await;
                    $crate::store::contract::$case(&world).await;
                }
            )+};
        }
        pub(crate) use run;
    };
}

cases! {
    what_was_inserted_is_found,
    a_name_is_taken_once,
    what_was_removed_is_gone_for_every_late_call,
    of_two_replacements_one_wins,
    a_touch_moves_the_end,
    what_expired_is_not_found_nor_revived,
    what_expired_unseen_is_not_revived,
    a_store_works_on_after_the_clock_was_set_back,
    a_small_step_back_changes_nothing,
    an_index_lists_its_own_the_oldest_first,
    an_index_is_found_after_a_key_rotation,
    ending_an_index_refuses_logins_that_had_begun,
    a_mark_of_a_logout_ends_after_its_time,
    a_logout_wins_against_a_racing_insert,
    a_removal_wins_against_a_racing_touch_or_replacement,
    a_mark_is_spent_once,
    of_many_who_end_an_index_once_one_does,
    what_was_ended_once_is_not_ended_again,
    two_indexes_are_ended_in_one_step,
    a_spent_mark_outlives_a_step_back,
    the_oldest_of_too_many_ends,
    expired_sessions_do_not_count_as_too_many,
    sweeping_deletes_in_bounded_steps,
    observers_hear_of_every_change_before_it_returns,
    a_person_is_found_and_ended_by_the_name_that_services_know,
    of_many_who_take_a_lease_one_holds_it,
    a_lease_is_renewed_and_given_back_by_its_holder_alone,
    a_lease_ends_by_the_clock_and_outlives_no_step_back,
    a_revocation_takes_the_place_of_one_of_its_name,
    a_list_is_changed_only_as_it_was_seen,
    a_list_of_revocations_tells_whether_it_changed,
    revocations_expire_by_the_clock,
    revocations_are_bounded,
}
