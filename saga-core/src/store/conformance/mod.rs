//! The laws of a store, as tests. Authors of a store run them with [`conformance!`](crate::conformance).
//!
//! Each law is one function. The macro turns each law into one `#[test]` of the same name, on a store of its own. A law
//! uses only the traits. Each law therefore holds for every store.

mod aliases;
mod audit;
mod dedup;
mod fixtures;
mod inspection;
mod labels;
mod leases;
mod mail;
mod names;
mod rows;
mod shards;
mod steps;

use std::sync::Arc;

pub use aliases::*;
pub use audit::*;
pub use dedup::*;
pub use fixtures::{
    Driver, address, create, dedup_record, delivery, labelled, mail, next, obligation, payload, task, time,
    timer,
};
pub use inspection::*;
pub use labels::*;
pub use leases::*;
pub use mail::*;
pub use names::*;
pub use rows::*;
pub use shards::*;
pub use steps::*;

use super::{Address, Store};

/// One empty store under test.
pub trait Subject {
    /// Opens the store. Later calls open the same store again. The handle from an earlier call may still exist.
    fn open(&self) -> Arc<dyn Store>;

    /// Makes one instance unreadable. Returns `false` if the store offers no way to do this.
    fn damage(&self, address: &Address) -> bool {
        let _ = address;
        false
    }
}

impl Subject for super::MemoryStore {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }

    fn damage(&self, address: &Address) -> bool {
        Self::damage(self, address)
    }
}

/// Runs one law on one subject.
///
/// # Panics
/// If the law does not hold, or if no runtime can be started.
pub fn check<S: Subject>(subject: S, law: impl AsyncFnOnce(&S)) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers starts");
    runtime.block_on(law(&subject));
}

/// Generates one test per law. The argument is an expression that creates a fresh
/// [`Subject`](crate::store::conformance::Subject). With `shards:` before it, the subject opens an empty store with
/// [`SHARDS`](crate::store::conformance::SHARDS) shards, and the laws are those of several shards.
#[macro_export]
macro_rules! conformance {
    ($subject:expr) => {
        $crate::conformance! { @laws $subject;
            the_first_lease_is_clean
            a_release_makes_the_next_lease_clean
            a_lease_that_was_not_released_is_unclean
            a_release_does_not_clear_what_was_unclean_before
            epochs_rise
            a_newer_epoch_fences_the_older_one
            a_released_lease_commits_nothing
            purging_needs_the_lease
            a_takeover_sees_every_commit

            a_created_instance_is_loaded_as_it_was_written
            loading_answers_in_the_order_asked
            a_second_instance_with_the_same_address_conflicts
            a_step_behind_or_ahead_conflicts_and_changes_nothing
            a_step_of_another_incarnation_conflicts
            a_step_of_a_row_that_is_not_there_conflicts
            the_same_step_twice_is_repeated
            a_batch_sent_again_is_answered_as_it_was
            a_batch_number_that_goes_back_is_refused
            a_bad_step_harms_no_neighbour
            a_step_is_all_or_nothing
            steps_of_a_batch_apply_in_order
            a_step_that_contradicts_itself_is_refused
            address_and_creation_are_fixed
            awkward_values_survive
            a_large_payload_survives

            a_task_is_there_until_it_is_finished
            a_task_that_is_there_already_is_refused
            progress_of_a_task_is_kept
            open_tasks_page_in_order_without_gaps
            timers_are_set_replaced_and_cleared_by_name
            due_timers_page_in_order
            due_timers_page_without_gaps_while_others_are_cleared
            obligations_are_put_replaced_and_dropped
            compensating_instances_page_in_order
            an_alias_leads_to_the_instance_that_has_claimed_it
            an_alias_is_claimed_by_one_instance_of_a_saga
            an_alias_that_is_given_up_is_free
            a_purged_instance_gives_its_aliases_up
            a_duplicate_is_called_that_before_its_claims_are_looked_at

            the_inbox_keeps_its_order
            inbox_numbers_are_never_used_again
            mail_of_a_step_is_consumed_and_added_with_it
            what_lies_in_the_inbox_is_used_up_once
            a_delivery_of_mail_wakes_somebody
            mail_is_kept_as_it_was_delivered
            deliveries_page_in_order_until_finished
            dead_letters_come_and_go
            a_dead_letter_goes_once
            conflicts_under_one_id_are_counted_on_one_dead_letter
            a_trace_context_is_kept

            the_audit_is_a_chain_in_order
            a_refused_step_leaves_no_audit
            the_audit_is_filtered_and_paged
            a_pause_is_kept_until_its_end
            a_renamed_saga_stays_paused
            a_registered_consumer_is_no_longer_retired

            a_mark_makes_the_next_one_a_duplicate
            the_same_id_with_other_content_is_a_conflict
            marks_are_per_consumer_and_key
            a_duplicate_leaves_nothing_behind
            a_repeated_step_is_not_a_duplicate_of_itself
            old_marks_are_purged_and_young_ones_kept
            marks_page_in_order
            what_is_kept_of_an_event_is_found_by_its_id
            what_is_kept_of_an_event_by_an_alias_is_found_at_the_instance_too

            an_instance_is_found_by_its_present_labels
            labels_go_with_their_instance
            labels_follow_a_renamed_saga
            a_long_label_is_found_by_its_text

            history_is_kept_in_order
            history_is_cut_at_its_old_end
            lists_filter_sort_and_page
            lists_go_back
            counts_are_by_saga_state_status_and_park
            counts_follow_each_step
            consumers_are_added_and_never_removed
            definitions_are_kept_by_saga_and_version
            names_are_counted_where_they_stand
            a_renamed_saga_keeps_everything_that_is_stored_for_it
            a_saga_is_not_renamed_to_one_that_has_the_same_key
            a_retired_name_is_remembered
            a_retired_name_leads_to_the_present_one
            a_retired_name_that_is_given_again_is_in_use
            renaming_needs_the_lease
            waiting_mail_is_found_by_address
            only_ended_instances_without_tasks_are_purged
            a_purge_is_bounded
            an_unreadable_instance_harms_no_other
        }
    };
    (shards: $subject:expr) => {
        $crate::conformance! { @laws $subject;
            each_shard_has_a_lease_of_its_own
            a_lease_fences_no_other_shard
            an_unclean_end_is_of_one_shard
            a_step_of_another_shard_is_refused
            mail_of_a_step_reaches_its_shard
            mail_of_a_refused_step_reaches_no_shard
            mail_without_a_lease_reaches_each_shard
            mail_is_used_up_once_across_owners
            mail_for_another_shard_is_shown_to_people
            a_batch_sent_again_sends_its_mail_once
            an_engine_reads_the_rows_of_its_shard
            an_alias_is_claimed_by_one_instance_of_all_shards
            a_dead_letter_goes_once_in_all_shards
            a_purge_is_of_one_shard
        }
    };
    (@laws $subject:expr; $($law:ident)+) => {
        $(
            #[test]
            fn $law() {
                $crate::store::conformance::check($subject, $crate::store::conformance::$law);
            }
        )+
    };
}
