//! The work that an earlier lease left: it is read at the start, and when there is room.

use crate::engine::io::{Answer, Out};
use crate::engine::slot::Presence;
use crate::engine::{Moment, Shard};
use crate::store::{Address, DeliveryId, OpenTask, RowId, TaskKind};

impl Shard {
    /// Takes up everything that an earlier lease left.
    pub(crate) fn start(&mut self, moment: Moment) {
        (self.moment, self.began) = (moment, moment.mono);
        self.follow_clock();
        self.lanes.suspects.start(moment.mono);
        self.read_tasks_again();
        self.fetch_deliveries(DeliveryId::default());
        self.fetch_timers();
        self.intake.behind = true;
        self.scan();
    }

    /// Reads the open tasks and the compensating instances from the beginning.
    pub(in crate::engine) fn read_tasks_again(&mut self) {
        if self.intake.tasks.begin() {
            self.out.push(Out::FetchTasks(None));
        }
        if self.intake.compensating.begin() {
            self.out.push(Out::FetchCompensating(None));
        }
    }

    /// Accepts and starts nothing more. Running attempts may end.
    pub(in crate::engine) fn stop(&mut self) {
        self.stopping = true;
        for (_, ticket) in std::mem::take(&mut self.intake.waiting_publishes) {
            self.out.push(Out::Answer(ticket, Answer::Stopped));
        }
        self.stop_taking_up();
        self.write_attempts();
        self.write_deliveries();
    }

    pub(in crate::engine) fn fetched_tasks(&mut self, rows: Vec<OpenTask>, more: bool) {
        let last = rows.last().map(|row| (row.row, row.task.id));
        // The report of a child loads its parent, so the task of a child needs no load.
        for row in rows.into_iter().filter(|row| row.task.kind != TaskKind::Child) {
            let address = self.address(&row.address.saga, row.address.key);
            let lane = self.registry.handlers.get(&*row.task.command.name);
            let held = lane.is_some_and(|lane| self.lanes.is_held(*lane));
            if !held {
                self.take_up(&address);
            }
        }
        if self.intake.tasks.read(last.filter(|_| more)) {
            self.out.push(Out::FetchTasks(None));
        }
    }

    pub(in crate::engine) fn fetched_compensating(&mut self, rows: Vec<(RowId, Address)>, more: bool) {
        let last = rows.last().map(|(row, _)| *row);
        for (_, address) in rows {
            let address = self.address(&address.saga, address.key);
            self.take_up(&address);
        }
        if self.intake.compensating.read(last.filter(|_| more)) {
            self.out.push(Out::FetchCompensating(None));
        }
    }

    /// Continues paused reads when there is room.
    pub(in crate::engine) fn read_on(&mut self) {
        if self.intake.paused && !self.intake.scanning && !self.crowded() {
            self.intake.paused = false;
            self.scan();
        }
        if self.intake.loads >= self.limits.page {
            return;
        }
        if self.intake.tasks.waits() && self.lanes.queued() < self.limits.taken_up {
            let after = self.intake.tasks.next();
            self.out.push(Out::FetchTasks(after));
        }
        if let Some(after) = self.intake.compensating.next() {
            self.out.push(Out::FetchCompensating(Some(after)));
        }
    }

    /// Loads an instance that has work to do. An unknown or paused saga or an instance in memory is skipped.
    fn take_up(&mut self, address: &Address) {
        let known = self.registry.sagas.contains_key(&*address.saga);
        let here = self.slots.get(address).is_some_and(|slot| !matches!(slot.presence, Presence::Unknown));
        if known && !here && !self.pauses.holds(&address.saga) {
            self.load(address);
        }
    }
}
