//! The contract of every store. Each claim takes a [`World`](crate::world::World) on an empty store.

pub(crate) mod at_most;
pub(crate) mod attempts;
pub(crate) mod expiries;
pub(crate) mod finally;
pub(crate) mod flow;
pub(crate) mod gathers;
pub(crate) mod handlers;
pub(crate) mod leases;
pub(crate) mod listing;
pub(crate) mod lists;
pub(crate) mod loops;
pub(crate) mod order;
pub(crate) mod outcomes;
pub(crate) mod pipelines;
pub(crate) mod plans;
pub(crate) mod rates;
pub(crate) mod records;
pub(crate) mod reruns;
pub(crate) mod restores;
pub(crate) mod schedules;
pub(crate) mod scopes;
pub(crate) mod streams;
pub(crate) mod users;
pub(crate) mod views;

/// One test for each claim.
macro_rules! contract_tests {
    ($world:path; $($part:ident: $($claim:ident)*;)*) => {$(
        mod $part {
            $(
                #[tokio::test]
                async fn $claim() {
                    $crate::contract::$part::$claim($world().await).await;
                }
            )*
        }
    )*};
}
pub(crate) use contract_tests;

/// All claims, each in a new world.
macro_rules! all_contract_tests {
    ($world:path) => {
        $crate::contract::contract_tests! { $world;
            flow:
                a_job_starts_when_all_its_parents_are_completed_and_only_once
                the_same_argument_twice_is_passed_twice
                a_call_hands_values_down_its_chain
                calling_a_pipe_twice_makes_new_jobs
                a_run_of_nothing_is_completed
                submitting_a_run_twice_changes_nothing
                hints_reach_all_that_depend
                of_two_hints_the_later_parent_decides
                a_batch_names_each_step_once
                a_job_knows_which_loop_runs_over_it
                a_result_too_long_to_be_inline_is_a_failed_attempt
                a_loop_over_no_list_is_a_failed_attempt;
            leases:
                a_stale_token_changes_nothing
                a_report_that_comes_twice_counts_once
                a_reaped_lease_changes_nothing
                a_heartbeat_keeps_a_lease
                a_heartbeat_returns_the_jobs_that_are_lost
                a_released_job_is_ready_at_once
                a_job_that_is_released_five_times_fails
                five_expired_leases_fail_a_job
                five_expired_leases_fail_a_job_under_a_rate
                the_neighbour_of_a_job_that_kills_its_workers_completes
                a_host_that_dies_with_several_steps_fails_none_of_them
                a_suspect_is_leased_alone
                tokens_grow_across_a_reset;
            streams:
                rounds_start_while_their_source_runs
                the_last_round_ends_a_loop_whose_source_has_ended
                a_piece_is_recorded_once
                a_piece_with_a_stale_token_changes_nothing
                an_attempt_is_sent_what_earlier_ones_reported
                a_loop_is_stuck_behind_a_source_that_failed
                a_failed_round_fails_a_loop_at_its_end
                a_round_is_reset_whether_or_not_its_source_runs
                a_cancelled_source_cancels_the_rounds
                a_cancelled_run_goes_on_where_it_was
                a_loop_of_stuck_rounds_comes_back_with_a_cancelled_run
                a_loop_of_loops_that_failed_comes_back_with_a_cancelled_run
                a_full_window_makes_the_source_wait
                a_window_limits_the_rounds_of_any_list
                the_whole_list_is_there_at_the_end_of_the_source
                several_loops_run_over_one_source
                a_source_in_a_round_streams
                a_source_sets_nothing_for_rounds_that_have_started
                rounds_inherit_what_their_source_inherited
                a_piece_of_what_no_loop_runs_over_is_refused;
            outcomes:
                a_failed_attempt_is_retried_after_its_wait
                a_retry_waits_as_long_as_the_failure_asks_for
                a_retry_waits_as_long_as_its_step_says
                dependants_of_a_failed_job_stay_blocked_and_name_it
                a_pending_job_waits_longer_each_time
                a_pending_job_waits_as_long_as_it_asks_for
                pending_is_no_attempt_and_has_its_limit
                a_job_gives_up_after_its_hand_backs
                a_reset_starts_the_call_over_with_its_first_inputs
                a_reset_leaves_other_calls_alone
                a_call_is_reset_25_times_and_not_more
                a_reset_call_has_fresh_attempts
                cancelling_a_call_cancels_its_dependants
                a_job_view_shows_its_state;
            loops:
                each_element_has_its_round
                no_element_means_nothing
                rounds_are_instantiated_a_window_at_a_time
                ten_thousand_elements_are_each_seen_once
                loops_nest
                a_body_sees_values_from_outside
                a_body_that_uses_only_the_outside_runs_once_a_round
                a_round_does_not_wait_for_what_only_a_later_job_needs
                an_outer_failure_blocks_every_round_and_its_reset_unblocks_them
                an_outer_failure_blocks_the_loops_in_every_round
                an_outer_cancellation_cancels_in_every_round
                a_reset_in_a_round_leaves_the_others_alone
                a_cancellation_in_a_round_leaves_the_others_alone
                two_loops_run_over_one_list
                hints_of_a_source_reach_the_rounds
                a_list_job_gets_lists_and_its_parts_are_arguments
                a_list_job_needs_lists
                a_list_is_looped_over_and_used_by_list_jobs;
            gathers:
                a_gathered_list_has_the_rounds_in_order
                a_cancelled_round_gives_nothing
                a_gathered_empty_list_is_empty
                a_failed_round_blocks_what_gathers_it_until_reset
                a_gathered_list_too_long_for_a_message_fails_the_job
                a_cancelled_source_cancels_what_gathers_it;
            order:
                scope_then_priority_then_age
                reverse_reverses_scope_priority_and_age
                other_scopes_are_left_alone
                one_lease_in_sixteen_goes_to_the_back_of_the_queue
                a_worker_chooses_the_anti_starvation_share
                a_worker_gets_as_many_jobs_as_it_asks_for;
            at_most:
                no_more_jobs_run_at_once_than_a_limit_allows
                every_end_of_a_lease_makes_room
                a_dead_worker_makes_room_when_its_leases_end
                a_limit_by_key_counts_each_key_apart
                a_key_that_is_new_at_the_same_time_has_its_own_limit
                a_rate_and_a_limit_both_hold
                why_names_the_limit
                many_keys_whose_jobs_run_do_not_hide_a_free_one;
            attempts:
                every_attempt_tells_its_times_worker_and_verdict
                a_job_keeps_its_last_attempts
                attempts_outlive_resets_and_cancellations
                a_job_without_an_attempt_tells_none
                lists_tell_the_start_and_not_the_attempts
                a_step_tells_what_its_attempts_used;
            expiries:
                a_job_expires_although_no_worker_asks
                an_expired_job_is_not_leased
                a_job_that_has_started_does_not_expire
                a_job_whose_worker_died_does_not_expire
                asking_for_a_key_does_not_start_a_job
                a_blocked_job_expires_when_its_parents_have_completed
                after_a_reset_the_time_counts_from_the_reset
                rounds_that_are_made_too_late_fail
                why_tells_when_a_job_expires;
            handlers:
                a_final_failure_calls_the_handler_once
                a_handler_starts_although_the_call_is_blocked
                every_kind_of_final_failure_calls_the_handler
                what_is_not_a_final_failure_calls_no_handler
                jobs_behind_a_failed_one_call_no_handler
                a_run_lasts_until_its_handlers_have_ended
                a_failed_handler_calls_nothing_and_can_be_reset
                every_round_has_a_handler_of_its_own
                a_handler_is_counted_once_it_exists
                a_reset_withdraws_the_call
                a_job_that_fails_again_calls_its_handler_again
                a_reset_run_does_not_reset_handlers_too
                a_handler_can_be_cancelled
                a_cancelled_run_cancels_its_handlers
                a_late_report_of_a_handler_changes_nothing
                a_handler_does_not_expire_with_the_run
                a_plan_with_impossible_handlers_is_refused;
            finally:
                finally_runs_when_everything_else_has_ended
                a_failed_run_ends_with_finally
                a_run_of_nothing_else_runs_finally
                finally_tells_how_many_jobs_failed
                finally_runs_after_a_cancellation_which_a_second_one_ends
                a_failure_in_finally_fails_the_run_and_can_be_reset
                a_reset_of_the_run_runs_finally_again
                a_reset_cancels_what_failed_in_an_earlier_finally
                a_reset_cancels_an_earlier_finally_whatever_its_ids
                nothing_outside_is_reset_while_finally_runs
                a_cancelled_job_of_finally_ends_the_run
                finally_has_loops_and_handlers
                finally_is_no_loop_to_users
                a_deleted_run_leaves_nothing_of_finally
                cancelling_what_is_stuck_does_not_run_finally_again
                finally_is_under_limits_of_starts
                a_plan_with_an_impossible_finally_is_refused;
            scopes:
                a_pending_job_runs_next_in_the_scope_it_chose
                a_released_job_stays_in_the_scope_it_chose
                every_new_attempt_is_in_the_scope_of_the_script
                a_result_chooses_the_scope_of_all_that_depend
                a_source_chooses_the_scope_of_the_rounds
                a_call_that_starts_over_forgets_the_scope_of_its_earlier_results
                limits_of_starts_hold_across_scopes
                a_key_is_kept_in_another_scope
                an_invalid_scope_is_a_failed_attempt
                moved_jobs_count_where_they_wait;
            rates:
                a_rate_by_key_counts_the_starts_of_each_key_apart
                asking_for_a_key_is_no_attempt_and_outlives_its_worker
                the_next_attempt_of_a_job_counts_under_the_same_key
                a_call_that_starts_over_is_asked_for_its_key_again
                an_unexpected_key_releases_the_job
                a_rate_limits_the_starts_in_any_window
                a_lease_answer_tells_when_a_rate_opens;
            users:
                a_cancelled_run_has_ended_and_its_reports_are_stale
                cancelling_a_run_counts_rounds_that_were_never_instantiated
                a_reset_run_tries_its_failed_jobs_again
                a_job_can_be_cancelled
                what_is_stuck_behind_a_failed_job_can_be_cancelled
                a_cancellation_reaches_what_is_stuck_behind_a_failed_job
                a_failed_job_can_be_reset
                a_reset_cancels_what_was_stuck_and_cannot_complete
                a_reset_cancels_in_every_round
                a_reset_or_cancellation_in_the_wrong_state_is_refused
                a_deleted_run_leaves_nothing_and_other_runs_intact
                ended_runs_are_those_that_ended_before_a_time
                a_running_run_cannot_be_deleted;
            views:
                a_view_counts_the_jobs_of_each_step
                every_change_makes_a_larger_version
                runs_are_listed_newest_first
                a_long_name_is_cut_between_two_characters
                a_list_of_runs_is_short_whatever_their_plans
                jobs_of_open_runs_are_counted_by_scope
                delayed_jobs_and_hand_backs_are_counted
                the_log_of_the_last_attempt_is_kept
                a_call_without_a_value_says_why
                a_result_says_whether_something_uses_it
                results_come_in_pages
                failed_jobs_are_listed_with_their_reason
                a_failure_tells_the_round_the_loop_and_the_arguments
                unknown_ids_return_none
                why_names_the_parents_that_have_not_completed
                why_shows_the_state_of_a_job
                a_task_contains_what_a_worker_would_receive
                a_task_needs_its_parents;
            restores:
                a_reset_brings_back_what_was_cancelled_with_the_run
                what_a_step_cancelled_stays_cancelled
                failed_and_stuck_jobs_of_a_cancelled_run_run_again
                rounds_go_on_after_a_reset
                limits_of_starts_hold_after_a_reset
                a_cancelled_job_runs_again_with_its_call_and_dependants
                a_job_behind_another_cancelled_one_is_refused
                a_round_comes_back_while_its_loop_runs
                a_round_of_a_loop_that_has_ended_is_refused
                a_reset_of_a_cancelled_run_runs_finally_again
                a_finally_that_was_cancelled_goes_on_or_starts_over;
            reruns:
                a_rerun_of_a_failed_run_runs_what_did_not_complete
                from_runs_a_step_and_all_that_depends_on_it
                only_runs_a_step_and_what_gets_other_results_from_it
                another_env_is_another_input
                a_result_is_reused_for_the_same_call_only
                a_parameter_changes_what_depends_on_it
                a_rerun_of_a_pipelines_run_has_its_version
                replaced_code_runs_and_so_does_what_gets_other_results
                rounds_are_reused_and_lists_gathered_from_them
                a_changed_list_runs_its_new_elements
                nested_rounds_are_reused
                many_rounds_are_reused
                handlers_and_finally_run_anew
                a_call_that_starts_over_reuses_nothing
                nothing_is_reused_of_a_run_that_has_changed
                a_deleted_run_lends_its_blobs_and_no_more_results
                the_same_rerun_is_one_run
                limits_and_expiries_do_not_hold_what_is_reused
                equal_results_have_equal_digests
                a_stage_stands_for_its_job
                lists_made_of_reused_lists_are_reused;
            listing:
                jobs_are_listed_by_step_and_state
                pages_join_to_the_whole_list
                a_page_that_finds_little_ends_early_and_is_continued
                jobs_of_other_runs_are_not_listed
                an_unknown_step_is_named_and_an_unknown_run_is_none
                jobs_are_listed_by_round
                too_many_loops_in_a_round_are_refused
                runs_are_found_by_a_range_of_ids;
            lists:
                runs_are_found_by_state_path_and_time
                runs_of_the_same_time_are_each_on_one_page
                a_page_of_runs_that_finds_little_ends_early
                runs_are_found_by_pipeline_and_parameters
                values_of_parameters_are_compared_as_json
                failed_jobs_of_all_runs_are_listed_newest_first
                failures_are_grouped_by_step_and_message;
            records:
                changes_are_listed_newest_first_by_who_and_what
                a_rare_action_in_a_run_is_found_page_by_page
                what_is_recorded_of_a_run_is_kept_as_long_as_the_run
                hostile_names_are_recorded
                each_slot_of_the_history_has_the_first_of_its_samples;
            plans:
                a_value_of_the_script_is_an_argument
                keyword_arguments_come_with_the_step
                a_bad_plan_is_refused_and_leaves_nothing;
            pipelines:
                equal_content_is_the_same_version
                a_run_keeps_the_version_it_started_with
                long_parameters_of_runs_are_cut_in_the_view
                a_bad_plan_is_not_published
                invoking_twice_starts_one_run
                a_key_is_not_used_for_another_run
                a_repeated_invocation_finds_its_run_whatever_became_of_the_pipeline
                contradicting_declarations_are_not_published
                a_priority_is_added_to_that_of_every_step
                a_batch_that_starts_too_much_is_refused
                a_batch_starts_all_of_its_runs_or_none
                an_unpublished_pipeline_starts_no_run_and_its_runs_go_on
                code_is_kept_as_long_as_a_version_needs_it;
            schedules:
                a_due_time_starts_one_run
                the_due_time_is_the_time_of_the_run
                what_does_not_fit_is_refused_and_nothing_is_stored
                an_update_sets_all_of_its_schedules_or_none
                a_change_takes_effect_at_the_next_due_time
                a_schedule_whose_pipeline_is_gone_is_paused_and_says_so
                an_overlap_is_skipped_queued_cancelled_or_allowed
                missed_due_times_are_caught_up_as_the_policy_says
                a_clock_that_goes_back_starts_nothing_twice
                a_paused_schedule_starts_nothing
                a_user_can_run_a_schedule_at_any_time
                a_backfill_runs_each_due_time_once
                a_thousand_schedules_are_due_at_once
                schedules_are_listed_in_pages
                a_view_shows_the_last_runs
                a_removed_schedule_leaves_its_runs;
        }
    };
}
pub(crate) use all_contract_tests;
