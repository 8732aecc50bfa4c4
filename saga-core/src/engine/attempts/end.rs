//! The end of an attempt: how it counts over all attempts, and whether the task is tried again (rules R17, R18).

use std::time::Duration;

use super::lanes::{Job, Running};
use super::progress::is_news;
use crate::engine::attention::{Attention, becomes_overdue};
use crate::engine::io::{AttemptEnd, Out};
use crate::engine::slot::{Item, Late, Presence, Run};
use crate::engine::{Policy, Shard};
use crate::machine::{Input, MessageRecord, ParkReason, ReportRecord};
use crate::message::Timestamp;
use crate::store::{Address, Status, TaskId, TaskKind, TaskProgress, TaskStage};

/// How the end of an attempt counts over all attempts (rule R17).
enum Verdict {
    Report(ReportRecord),
    Again,
}

/// An attempt count at which the delay has reached its cap. An unreadable command is tried again after that delay.
const UNREADABLE: u32 = 64;

impl Shard {
    /// Handles the end of an attempt, including a dropped attempt.
    pub(in crate::engine) fn ended(&mut self, attempt: u64, how: AttemptEnd) {
        if let Some(Running { job: Job::Task(address, _), .. }) = self.lanes.attempts.get(&attempt) {
            // The instance is loading. The end is handled after the load.
            if let Some(slot) = self.slots.get_mut(address).filter(|slot| slot.is_loading()) {
                slot.runs.keep_late(Late::Ended(attempt, how));
                return;
            }
        }
        let Some(running) = self.lanes.attempts.remove(&attempt) else {
            return self.broken("each attempt ends once", None);
        };
        self.lanes.lanes[running.lane].running -= 1;
        self.lanes.deadlines.remove(&(running.deadline, attempt));
        let how = match how {
            AttemptEnd::Dropped if running.timed_out => {
                AttemptEnd::Indeterminate(self.lanes.late(running.lane))
            }
            AttemptEnd::Dropped if !self.stopping => {
                AttemptEnd::Indeterminate("the attempt was dropped".to_owned())
            }
            how => how,
        };
        if !running.logged {
            self.log_failure(&running.job, &how);
        }
        let took = self.moment.mono.saturating_sub(running.started);
        let found = &mut self.lanes.lanes[running.lane];
        found.stats.count(&how, took, self.moment);
        let was_open = found.throttle.is_open();
        if found.throttle.judge(&found.policy, &how, self.moment.mono) && !was_open {
            let error = how.error();
            tracing::warn!(
                handler = found.name,
                error,
                "too many attempts in a row were indeterminate; the breaker of the handler is open"
            );
            let (handler, error) = (found.name, error.unwrap_or_default().to_owned());
            self.attend(|| Attention::BreakerOpen { handler: handler.into(), error });
        } else if was_open && !self.lanes.lanes[running.lane].throttle.is_open() {
            let found = &self.lanes.lanes[running.lane];
            tracing::info!(
                handler = found.name,
                "the handler has answered; the breaker of the handler is closed"
            );
        }
        match &running.job {
            Job::Task(address, task) => self.task_ended(address, *task, &running, how, took),
            Job::Delivery(delivery) => self.delivery_ended(*delivery, how),
        }
        self.recovered(&running.job);
        self.free_place(running.lane);
    }

    fn task_ended(
        &mut self,
        address: &Address,
        task: TaskId,
        running: &Running,
        how: AttemptEnd,
        took: Duration,
    ) {
        let now = self.moment.wall;
        let jitter = self.jitter();
        let epoch = self.lease.epoch;
        let policy = self.lanes.lanes[running.lane].policy.clone();
        let at_most_once = self.lanes.lanes[running.lane].at_most_once;
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory while its task runs", Some(address));
        };
        // A quarantined instance takes no report, so the store does not learn about this attempt.
        self.unrecorded_attempts |= matches!(slot.presence, Presence::Quarantined(_));
        let compensating = slot.instance().is_some_and(|instance| instance.status() == Status::Compensating);
        // An unreadable command waits if its instance has ended or the command is best-effort (rule R34).
        let patient = slot.instance().is_some_and(|instance| {
            instance.status().is_over()
                || instance.task(task).is_some_and(|task| instance.is_best_effort(task))
        });
        let Some(found) = slot.instance_mut().and_then(|instance| instance.task_mut(task)) else { return };
        let undo = found.kind == TaskKind::Undo;
        let at_most_once = at_most_once && !undo;
        // The instance counts as compensating even while the step of the turn is being committed.
        let turned = compensating && !undo;
        if matches!(how, AttemptEnd::NotBegun) {
            return self.not_begun(address, task, running.lane, turned);
        }
        // The end of an attempt resets the count (rule R19).
        found.progress.recoveries = 0;
        if matches!(how, AttemptEnd::Dropped) && !at_most_once {
            // The dispatcher stopped. The attempt counts as indeterminate, and its time is not charged.
            found.progress.attempts += 1;
            found.progress.error = Some("the attempt was dropped when the dispatcher stopped".to_owned());
            self.delay_task(address, task, now, epoch);
            return;
        }
        let how = match how {
            // The command waits for a build that can read it.
            AttemptEnd::Unreadable(why) if !turned && patient => {
                found.progress.error = Some(why);
                let delay = policy.delay(UNREADABLE, undo, 1.0);
                return self.delay_task(address, task, now.plus(delay), epoch);
            }
            AttemptEnd::Unreadable(why) if !turned => {
                slot.set_run(task, Run::Reported);
                slot.queue.push_back(Item::own(Input::Stuck(task, ParkReason::Unreadable, why), now));
                return self.schedule(address);
            }
            // A repeated call would return the same answer. A person can supply an answer that can be stored. The
            // handler was called, so the attempt counts.
            AttemptEnd::BadReply(why) if !turned && !patient => {
                found.progress.attempts += 1;
                found.progress.error = Some(why.clone());
                slot.set_run(task, Run::Reported);
                slot.queue.push_back(Item::own(Input::Stuck(task, ParkReason::Unreadable, why), now));
                return self.schedule(address);
            }
            how => how,
        };
        found.progress.attempts += 1;
        found.progress.spent_ms += u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        // An at-most-once command has one attempt (rule R18). A command of a compensating instance gets no further
        // attempt (rule R13).
        let last = at_most_once || turned;
        let news = how.error().is_some_and(|error| is_news(&found.progress, error, epoch));
        let overdue = how.error().is_some() && becomes_overdue(found, now);
        self.tally.overdue += u64::from(overdue);
        if let (true, Some(error)) = (self.attention && overdue, how.error()) {
            let (undo, since) = (found.command.name.clone(), found.progress.since);
            let (instance, error) = (address.clone(), error.to_owned());
            self.out.push(Out::Attention(Box::new(Attention::Overdue { instance, undo, since, error })));
        }
        match verdict(&mut found.progress, how, undo, last, &policy) {
            Verdict::Report(report) => {
                slot.set_run(task, Run::Reported);
                slot.queue.push_back(Item::own(Input::Report(task, report), now));
                self.schedule(address);
            }
            Verdict::Again => {
                let delay = policy.delay(found.progress.attempts, undo, jitter);
                // A task that this process does not try again must be in the store when the process ends.
                if delay.is_zero() && !self.stopping {
                    found.progress.due = Timestamp::EPOCH;
                    slot.set_run(task, Run::Waiting);
                    self.lanes.push(running.lane, Job::Task(address.clone(), task));
                    if news {
                        self.write_failure(address, task, epoch);
                    }
                } else {
                    found.progress.spent_ms += u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                    self.delay_task(address, task, now.plus(delay), epoch);
                }
            }
        }
    }

    /// Handles an attempt that never reached its handler. The attempt does not count, and the task waits for a place
    /// again.
    fn not_begun(&mut self, address: &Address, task: TaskId, lane: usize, turned: bool) {
        let (now, epoch, stopping) = (self.moment.wall, self.lease.epoch, self.stopping);
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory while its task runs", Some(address));
        };
        let Some(found) = slot.instance_mut().and_then(|instance| instance.task_mut(task)) else { return };
        let marked = std::mem::replace(&mut found.progress.stage, TaskStage::Ready) == TaskStage::Started;
        let attempts = found.progress.attempts;
        if turned {
            let report = match attempts {
                0 => ReportRecord::Withdrawn,
                _ => ReportRecord::Unknown {
                    attempts,
                    reason: "the command was given up at the turn of the instance".to_owned(),
                },
            };
            slot.set_run(task, Run::Reported);
            slot.queue.push_back(Item::own(Input::Report(task, report), now));
            return self.schedule(address);
        }
        if stopping || marked {
            // At a stop the progress must be in the store. The start record of an at-most-once command must be
            // withdrawn (rule R18).
            return self.delay_task(address, task, now, epoch);
        }
        slot.set_run(task, Run::Waiting);
        self.lanes.push(lane, Job::Task(address.clone(), task));
    }
}

/// Decides how the end of an attempt counts over all attempts. `progress` already counts this attempt. `last` forbids
/// another attempt.
fn verdict(progress: &mut TaskProgress, how: AttemptEnd, undo: bool, last: bool, policy: &Policy) -> Verdict {
    let attempts = progress.attempts;
    let unknown = |reason: String| Verdict::Report(ReportRecord::Unknown { attempts, reason });
    let error = match how {
        AttemptEnd::Replied(reply) => {
            return Verdict::Report(ReportRecord::Replied(reply.as_ref().map(MessageRecord::from)));
        }
        AttemptEnd::RefusedForGood(reason) => {
            return Verdict::Report(ReportRecord::Refused { attempts, reason });
        }
        AttemptEnd::Refused(reason) | AttemptEnd::Unreadable(reason) if attempts == 1 || undo => {
            return Verdict::Report(ReportRecord::Refused { attempts, reason });
        }
        AttemptEnd::Refused(reason) | AttemptEnd::Unreadable(reason) => {
            return unknown(format!(
                "the last attempt was refused, but an earlier attempt was indeterminate: {reason}"
            ));
        }
        AttemptEnd::Indeterminate(reason) | AttemptEnd::BadReply(reason) => reason,
        AttemptEnd::Dropped | AttemptEnd::NotBegun => {
            "the attempt was dropped when the dispatcher stopped".to_owned()
        }
    };
    progress.error = Some(error.clone());
    if undo {
        return Verdict::Again;
    }
    if last {
        return unknown(error);
    }
    let spent = Duration::from_millis(progress.spent_ms);
    if attempts >= policy.quick && spent >= policy.total {
        return unknown(format!("{attempts} attempts failed; last error: {error}"));
    }
    Verdict::Again
}
