//! The sequencer: decides the order of transactions, and holds them until the log has them.
//!
//! One mutex guards the head root and the batch that is filling. A commit runs its closure on the head, takes the next LSN
//! and encodes its effects, all under the mutex, so the log's order is the order in which states were seen. The log
//! ([`crate::log::driver`]) takes the whole batch, writes it, and publishes the root that belonged to it.
//!
//! # Why nobody sees state that a crash could take back
//!
//! Readers get the published root. A closure runs on the head, which may be newer, so *every* result, also a failure or one
//! of a closure that only looked, waits for the batch that the head belonged to when it ran. If that batch fails, so does
//! the result: the state that it was computed on never was.

use crate::blob::Blobs;
use crate::blob::garbage::{Dead, Pin};
use crate::blob::reference::Changes;
use crate::compaction::request::{Compacted, Request};
use crate::compaction::runner::Compactions;
use crate::error::Failure;
use crate::log::record::{PAYLOAD_BYTES_MAX, append_unframed};
use crate::pending::{Pending, Slot};
use crate::root::{Root, Space, View};
use crate::store::{Durability, Lsn, Options, Status};
use crate::sync::{Condvar, Mutex, MutexGuard, RwLock};
use crate::txn::{Callback, Done, Effects, Logged, Txn};
use crate::wire;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;

/// What a payload may need besides the effects and the label's texts.
const PAYLOAD_OVERHEAD: usize = 64;

/// A buffer larger than this is not kept for the next batch.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

/// What committers, readers and the log share.
#[derive(Debug)]
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    published: RwLock<View>,
    pub(crate) blobs: Arc<Blobs>,
    compactions: Mutex<Compactions>,
    /// The log waits here for something to do.
    work: Condvar,
    /// Committers wait here for room, closers for the end.
    room: Condvar,
    logged: Logged,
    durability: Durability,
    bytes_max: usize,
    memory_bytes_max: Option<u64>,
    /// Do committers write what they queued, so that the log need not be woken?
    pub(crate) committers_help: bool,
    directory: PathBuf,
}

#[derive(Debug, Default)]
struct Queue {
    /// The newest state.
    head: Root,
    batch: Batch,
    /// What the queue knows of the batch that the log is writing.
    in_flight: Option<InFlight>,
    /// Why no more writes are taken, for good.
    refused: Option<Failure>,
    stage: Stage,
    /// Who waits for room, by the number of the wait.
    admission: BTreeMap<u64, Waker>,
    /// The number of the last wait.
    admission_last: u64,
    effects: Vec<u8>,
    spare_bytes: Vec<u8>,
    log: LogStatus,
    /// Was the last transaction that would have made the state larger refused for want of memory?
    lacks_memory: bool,
    /// A background task of the log is done, or it should look again.
    nudged: bool,
    /// How many waited for the log when it last was done: about as many as there are clients.
    clients: usize,
    /// How many the log waits for before it goes on; 0: for anyone.
    awaited: usize,
    /// Compactions that were asked for.
    compactions: Vec<Arc<Request>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    Closing,
    Closed(Result<(), Failure>),
}

/// What the log says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogStatus {
    pub(crate) synced: Lsn,
    pub(crate) segments: u64,
    pub(crate) log_bytes: u64,
    pub(crate) lacks_space: bool,
}

#[derive(Default)]
struct Batch {
    /// Unframed records.
    bytes: Vec<u8>,
    /// Does any of it make the state larger?
    grows: bool,
    blobs: Changes,
    waiters: Vec<Waiter>,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("bytes", &self.bytes.len())
            .field("waiters", &self.waiters.len())
            .finish()
    }
}

/// Its waiters stay here, so that they are told even if the log loses the batch to a panic.
#[derive(Default)]
struct InFlight {
    bytes: usize,
    blobs: Changes,
    waiters: Vec<Waiter>,
}

impl std::fmt::Debug for InFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InFlight")
            .field("bytes", &self.bytes)
            .field("waiters", &self.waiters.len())
            .finish()
    }
}

struct Waiter {
    slot: Arc<Slot>,
    callbacks: Vec<Callback>,
}

/// A batch on its way through the log.
pub(crate) struct Work {
    pub(crate) bytes: Vec<u8>,
    pub(crate) grows: bool,
    root: Arc<Root>,
}

/// What the log finds when it looks.
pub(crate) enum Task {
    Write(Work),
    /// Someone asks for a compaction.
    Compact(Vec<Arc<Request>>),
    Close,
    Nothing,
    /// Nor will there ever be anything.
    Closed,
}

/// What a committer that helps finds.
pub(crate) enum SmallTask {
    Write(Work),
    Nothing,
    /// It takes more than a write.
    NotForYou,
}

impl Shared {
    /// Starts from `root`, all of which is published.
    pub(crate) fn new(
        root: Root,
        options: &Options,
        logged: Logged,
        directory: &Path,
        blobs: Arc<Blobs>,
    ) -> Shared {
        Shared {
            published: RwLock::new(View {
                root: Arc::new(root.clone()),
                pin: Arc::new(Pin(blobs.clone())),
            }),
            blobs,
            compactions: Mutex::default(),
            queue: Mutex::new(Queue {
                head: root,
                ..Queue::default()
            }),
            work: Condvar::new(),
            room: Condvar::new(),
            durability: if logged.anything {
                options.durability
            } else {
                Durability::None
            },
            logged,
            bytes_max: options.queue_bytes_max,
            memory_bytes_max: options.memory_bytes_max,
            // A run that is to repeat leaves all of it to one thread.
            committers_help: options.durability != Durability::Power && options.seed.is_none(),
            directory: directory.to_path_buf(),
        }
    }

    pub(crate) fn view(&self) -> View {
        self.published.read().clone()
    }

    pub(crate) fn status(&self) -> Status {
        let queue = self.queue.lock();
        Status {
            head: queue.head.lsn,
            published: self.published.read().lsn(),
            synced: queue.log.synced,
            durability: self.durability,
            poisoned: matches!(queue.refused, Some(Failure::Poisoned { .. })),
            lacks_space: queue.log.lacks_space || self.blobs.lacks_space(),
            lacks_memory: queue.lacks_memory,
            memory_bytes: queue.head.memory_bytes(),
            memory_bytes_max: self.memory_bytes_max,
            log_bytes: queue.log.log_bytes,
            segments: queue.log.segments,
            compactions: self.compactions.lock().clone(),
        }
    }

    pub(crate) fn commit<T, E>(
        &self,
        transaction: impl FnOnce(&mut Txn) -> Result<T, E>,
    ) -> Pending<Result<T, E>> {
        self.commit_in(self.admitted(), transaction)
    }

    /// For the log itself, which must not wait for room in its own queue.
    pub(crate) fn commit_own(&self, transaction: impl FnOnce(&mut Txn)) {
        let done = self.commit_in(self.queue.lock(), |txn| {
            transaction(txn);
            Ok::<_, Infallible>(())
        });
        // Whether it succeeds will be seen in the state.
        drop(done);
        self.nudge();
    }

    fn commit_in<T, E>(
        &self,
        mut queue: MutexGuard<'_, Queue>,
        transaction: impl FnOnce(&mut Txn) -> Result<T, E>,
    ) -> Pending<Result<T, E>> {
        let mut open = OpenTxn::new(&mut queue, self.logged.clone(), self.memory_bytes_max);
        let result = transaction(open.txn());
        let refusal = match &result {
            Ok(_) if open.txn().changed() => open
                .refusal(&self.directory)
                .or_else(|| open.lacks_memory(self.memory_bytes_max)),
            _ => {
                let callbacks = if result.is_ok() {
                    open.txn().take_callbacks()
                } else {
                    Vec::new()
                };
                self.take_back(open);
                return self.answer_read(queue, result, callbacks);
            }
        };
        if let Some(failure) = refusal {
            self.take_back(open);
            if matches!(failure, Failure::NoSpace { .. }) {
                self.nudge_locked(&mut queue);
            }
            return Pending::ready(Err(failure), None);
        }
        let done = open.finish();
        self.accept(queue, result, done)
    }

    /// Undoes what the closure did. The head then holds copies of the nodes that were changed back; if it is what readers
    /// see, it shares theirs again, so that refused writes don't double the state in memory.
    fn take_back(&self, mut open: OpenTxn<'_>) {
        open.roll_back();
        if open.queue.is_published() {
            open.queue.head = (*self.published.read().root).clone();
        }
    }

    /// Waits until there is room in the queue.
    fn admitted(&self) -> MutexGuard<'_, Queue> {
        let mut queue = self.queue.lock();
        while queue.is_full(self.bytes_max) {
            self.room.wait(&mut queue);
        }
        queue
    }

    /// `wait` is the number of this wait; 0 before the first poll.
    pub(crate) fn poll_room(&self, wait: &mut u64, waker: &Waker) -> Poll<()> {
        let mut queue = self.queue.lock();
        if !queue.is_full(self.bytes_max) {
            return Poll::Ready(());
        }
        if *wait == 0 {
            queue.admission_last += 1;
            *wait = queue.admission_last;
        }
        queue.admission.insert(*wait, waker.clone());
        Poll::Pending
    }

    /// Keeps everyone else out.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> impl Sized + '_ {
        self.queue.lock()
    }

    /// Nobody waits for room under this number any more.
    pub(crate) fn forget_wait(&self, wait: u64) {
        self.queue.lock().admission.remove(&wait);
    }

    /// The answer of a closure that changed nothing: once what it read is published.
    fn answer_read<T>(
        &self,
        mut queue: MutexGuard<'_, Queue>,
        result: T,
        callbacks: Vec<Callback>,
    ) -> Pending<T> {
        if queue.is_published() {
            drop(queue);
            run(callbacks);
            return Pending::ready(Ok(result), None);
        }
        let slot = Arc::new(Slot::default());
        let waiter = Waiter {
            slot: slot.clone(),
            callbacks,
        };
        let queue = &mut *queue;
        match &mut queue.in_flight {
            // The batch behind it would keep it waiting longer.
            Some(in_flight) if queue.batch.waiters.is_empty() => in_flight.waiters.push(waiter),
            _ => queue.batch.waiters.push(waiter),
        }
        if !self.committers_help && queue.is_enough(self.bytes_max) {
            self.work.notify_one();
        }
        Pending::queued(result, slot, None)
    }

    fn accept<T>(&self, mut queue: MutexGuard<'_, Queue>, result: T, done: Done) -> Pending<T> {
        let was_published = queue.is_published();
        let is_logged = done.effects.count > 0;
        queue.head = done.root;
        let lsn = is_logged.then(|| queue.head.lsn.next());
        queue.head.lsn = lsn.unwrap_or(queue.head.lsn);
        if let Some(lsn) = lsn.filter(|_| self.logged.anything) {
            let (label, effects) = (done.label.as_ref(), &done.effects);
            queue.batch.grows |= effects.growth > 0;
            append_unframed(&mut queue.batch.bytes, lsn, |out| {
                wire::encode(label, effects.count, &effects.bytes, out)
            });
        } else if was_published {
            // Nothing of it goes to the log, and nothing before it is on the way there.
            let _before = self.show(Arc::new(queue.head.clone()), done.blobs.dead);
            queue.keep_effects(done.effects.bytes);
            drop(queue);
            run(done.callbacks);
            return Pending::ready(Ok(result), lsn);
        }
        queue.keep_effects(done.effects.bytes);
        queue.batch.blobs.append(done.blobs);
        let slot = Arc::new(Slot::default());
        queue.batch.waiters.push(Waiter {
            slot: slot.clone(),
            callbacks: done.callbacks,
        });
        let is_enough = queue.is_enough(self.bytes_max);
        drop(queue);
        if is_enough && !self.committers_help {
            self.work.notify_one();
        }
        Pending::queued(result, slot, lsn)
    }

    /// For the log: the batch that is waiting, if any.
    pub(crate) fn next_task(&self) -> Task {
        let mut queue = self.queue.lock();
        match queue.stage {
            Stage::Closed(_) => Task::Closed,
            Stage::Open if !queue.compactions.is_empty() => {
                Task::Compact(mem::take(&mut queue.compactions))
            }
            Stage::Closing if queue.batch.waiters.is_empty() => Task::Close,
            _ if queue.batch.waiters.is_empty() => Task::Nothing,
            _ => Task::Write(queue.take_batch()),
        }
    }

    /// For committers that help: the batch that is waiting, if it `fits`.
    pub(crate) fn next_small_task(&self, fits: impl FnOnce(usize, bool) -> bool) -> SmallTask {
        let mut queue = self.queue.lock();
        match &queue.batch {
            batch if batch.waiters.is_empty() => SmallTask::Nothing,
            batch if fits(batch.bytes.len(), batch.grows) => SmallTask::Write(queue.take_batch()),
            _ => SmallTask::NotForYou,
        }
    }

    /// Is a batch waiting?
    pub(crate) fn has_work(&self) -> bool {
        !self.queue.lock().batch.waiters.is_empty()
    }

    /// The log has the batch: readers see it, then those who wait are told, in order.
    pub(crate) fn publish(&self, mut work: Work, log: LogStatus) {
        let mut queue = self.queue.lock();
        // Dropped at the very end: it may be the last to hold much of what was deleted.
        let in_flight = queue.in_flight.take().unwrap_or_default();
        let _before = self.show(work.root, in_flight.blobs.dead);
        queue.log = log;
        let told = in_flight.waiters;
        queue.clients = told.len() + queue.batch.waiters.len();
        work.bytes.clear();
        if work.bytes.capacity() <= BUFFER_BYTES_KEPT {
            queue.spare_bytes = work.bytes;
        }
        self.make_room(queue);
        for waiter in told {
            waiter.slot.say(Ok(()));
            run(waiter.callbacks);
        }
    }

    /// The log does not have the batch: everything that was built on it falls with it. After [`Failure::Poisoned`] it takes
    /// no other.
    pub(crate) fn fail(&self, failure: &Failure, log: LogStatus) {
        let mut queue = self.queue.lock();
        queue.head = (*self.published.read().root).clone();
        queue.log = log;
        if matches!(failure, Failure::Poisoned { .. }) {
            queue.refused = Some(failure.clone());
        }
        let mut in_flight = queue.in_flight.take().unwrap_or_default();
        let mut behind = mem::take(&mut queue.batch);
        self.make_room(queue);
        // Nothing refers to their bodies, unless a crash could still make the batch part of the log.
        if !matches!(
            failure,
            Failure::Uncertain { .. } | Failure::Poisoned { .. }
        ) {
            in_flight.blobs.undo();
        }
        behind.blobs.undo();
        let told = in_flight.waiters.into_iter().chain(behind.waiters);
        told.for_each(|waiter| waiter.slot.say(Err(failure.clone())));
    }

    /// Readers see `root` from now on. Returns what they saw, to be dropped once nothing is locked: it may be the last
    /// that kept the bodies that `root` lacks.
    fn show(&self, root: Arc<Root>, dead: Vec<Dead>) -> View {
        let mut published = self.published.write();
        let pin = if dead.is_empty() {
            published.pin.clone()
        } else {
            self.blobs.retire(root.lsn, &published.pin, dead);
            Arc::new(Pin(self.blobs.clone()))
        };
        mem::replace(&mut *published, View { root, pin })
    }

    /// Do rows of this key space survive?
    pub(crate) fn is_logged(&self, space: Space) -> bool {
        self.logged.anything && self.logged.holds(space.id)
    }

    fn make_room(&self, mut queue: MutexGuard<'_, Queue>) {
        let admission = mem::take(&mut queue.admission);
        drop(queue);
        self.room.notify_all();
        admission.into_values().for_each(Waker::wake);
    }

    pub(crate) fn set_log(&self, log: LogStatus) {
        self.queue.lock().log = log;
    }

    /// Makes the log look again.
    pub(crate) fn nudge(&self) {
        self.nudge_locked(&mut self.queue.lock());
    }

    fn nudge_locked(&self, queue: &mut Queue) {
        queue.nudged = true;
        self.work.notify_one();
    }

    /// For the log's thread: sleeps until there is something to do, at most until `deadline`.
    pub(crate) fn wait_for_work(&self, deadline: Option<Instant>) {
        let mut queue = self.queue.lock();
        let idle = |queue: &mut Queue| {
            !queue.nudged && queue.batch.waiters.is_empty() && queue.stage == Stage::Open
        };
        match deadline {
            Some(deadline) => drop(self.work.wait_while_until(&mut queue, idle, deadline)),
            None => self.work.wait_while(&mut queue, idle),
        }
        // Only here: a nudge that comes while the log looks is for the next look.
        queue.nudged = false;
    }

    /// For the log's thread: waits until all clients that are about have committed again, at most until `deadline`.
    pub(crate) fn wait_for_clients(&self, deadline: Instant) {
        let mut queue = self.queue.lock();
        queue.awaited = queue.clients;
        let incomplete = |queue: &mut Queue| {
            !queue.nudged
                && queue.stage == Stage::Open
                && queue.batch.waiters.len() < queue.awaited
                && !queue.is_full(self.bytes_max)
        };
        self.work.wait_while_until(&mut queue, incomplete, deadline);
        queue.awaited = 0;
        // It looks again now.
        queue.nudged = false;
    }

    /// Asks the log for a compaction. Without a log there is nothing to compact.
    pub(crate) fn request_compaction(&self, request: Arc<Request>) {
        if !self.logged.anything {
            let nothing = Compacted::nothing(self.published.read().lsn());
            return request.answer(Ok(nothing));
        }
        let mut queue = self.queue.lock();
        match (&queue.refused, &queue.stage) {
            (Some(failure), _) => request.answer(Err(failure.clone())),
            (None, Stage::Open) => {
                queue.compactions.push(request);
                self.nudge_locked(&mut queue);
            }
            (None, _) => request.answer(Err(Failure::Closed)),
        }
    }

    pub(crate) fn set_compactions(&self, compactions: Compactions) {
        *self.compactions.lock() = compactions;
    }

    /// Takes no more writes, and lets the log finish. Without a log there is nothing to finish.
    pub(crate) fn begin_close(&self) {
        let mut queue = self.queue.lock();
        if queue.stage == Stage::Open {
            queue.stage = if self.logged.anything {
                Stage::Closing
            } else {
                Stage::Closed(Ok(()))
            };
            self.work.notify_one();
        }
    }

    pub(crate) fn closed(&self, result: Result<(), Failure>) {
        let mut queue = self.queue.lock();
        let why = result.clone().err().unwrap_or(Failure::Closed);
        for request in mem::take(&mut queue.compactions) {
            request.answer(Err(why.clone()));
        }
        queue.stage = Stage::Closed(result);
        self.work.notify_one();
        self.make_room(queue);
    }

    pub(crate) fn wait_closed(&self) -> Result<(), Failure> {
        let mut queue = self.queue.lock();
        loop {
            match &queue.stage {
                Stage::Closed(result) => return result.clone(),
                _ => self.room.wait(&mut queue),
            }
        }
    }
}

impl Queue {
    fn is_full(&self, bytes_max: usize) -> bool {
        let in_flight = self
            .in_flight
            .as_ref()
            .map_or(0, |in_flight| in_flight.bytes);
        self.batch.bytes.len() + in_flight > bytes_max
    }

    fn take_batch(&mut self) -> Work {
        let bytes = mem::take(&mut self.spare_bytes);
        let empty = Batch {
            bytes,
            ..Batch::default()
        };
        let batch = mem::replace(&mut self.batch, empty);
        let bytes = batch.bytes.len();
        self.in_flight = Some(InFlight {
            bytes,
            blobs: batch.blobs,
            waiters: batch.waiters,
        });
        Work {
            bytes: batch.bytes,
            grows: batch.grows,
            root: Arc::new(self.head.clone()),
        }
    }

    /// Has the batch all that the log waits for?
    fn is_enough(&self, bytes_max: usize) -> bool {
        self.batch.waiters.len() >= self.awaited || self.is_full(bytes_max)
    }

    /// Is the head what readers see?
    fn is_published(&self) -> bool {
        self.batch.waiters.is_empty() && self.in_flight.is_none()
    }

    fn keep_effects(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        if bytes.capacity() <= BUFFER_BYTES_KEPT {
            self.effects = bytes;
        }
    }
}

/// The head while a closure runs on it. Dropped, also by a panic, it gives the head back as it was.
struct OpenTxn<'a> {
    queue: &'a mut Queue,
    /// Of all keys and values, before; told only if the state takes nearly as much memory as it may, or more. One
    /// transaction that leads there from further away does not make the state smaller.
    bytes_before: Option<u64>,
    txn: Option<Txn>,
}

impl<'a> OpenTxn<'a> {
    fn new(queue: &'a mut Queue, logged: Logged, memory_bytes_max: Option<u64>) -> OpenTxn<'a> {
        let root = mem::take(&mut queue.head);
        let is_near = |max: u64| root.memory_bytes() > max - max / 8;
        let bytes_before = memory_bytes_max.is_some_and(is_near).then(|| root.bytes());
        let txn = Txn::new(root, logged, mem::take(&mut queue.effects));
        OpenTxn {
            queue,
            bytes_before,
            txn: Some(txn),
        }
    }

    fn txn(&mut self) -> &mut Txn {
        self.txn.as_mut().expect("it is there until it is finished")
    }

    /// Why its changes can't be taken.
    fn refusal(&mut self, directory: &Path) -> Option<Failure> {
        let label_bytes = self.txn().label_bytes();
        let Effects { count, growth, .. } = *self.txn().effects();
        let bytes = self.txn().effects().size() + label_bytes + PAYLOAD_OVERHEAD;
        if self.queue.stage != Stage::Open {
            return Some(Failure::Closed);
        }
        if bytes > PAYLOAD_BYTES_MAX {
            return Some(Failure::TooLarge {
                bytes,
                bytes_max: PAYLOAD_BYTES_MAX,
            });
        }
        if count == 0 {
            return None;
        }
        // Without a spare segment, what is left of this one is kept for what makes the state smaller.
        let full = self.queue.log.lacks_space && growth > 0;
        let no_space = full.then(|| Failure::NoSpace {
            path: directory.to_path_buf(),
        });
        self.queue.refused.clone().or(no_space)
    }

    /// Why the state may not grow. Whatever makes it smaller is taken, how large it may be; that the tree around the entries
    /// shrinks as well is not asked for.
    fn lacks_memory(&mut self, bytes_max: Option<u64>) -> Option<Failure> {
        let bytes_max = bytes_max?;
        let bytes_before = self.bytes_before;
        let may_grow = self.txn().is_even_if_full();
        let root = self.txn().root();
        let bytes = root.memory_bytes();
        if bytes <= bytes_max {
            self.queue.lacks_memory = false;
            return None;
        }
        let grows = bytes_before.is_none_or(|before| root.bytes() > before);
        if may_grow || !grows {
            return None;
        }
        self.queue.lacks_memory = true;
        Some(Failure::NoMemory { bytes, bytes_max })
    }

    fn finish(mut self) -> Done {
        self.txn
            .take()
            .expect("it is there until it is finished")
            .finish()
    }
}

impl OpenTxn<'_> {
    fn roll_back(&mut self) {
        if let Some(mut txn) = self.txn.take() {
            self.queue.head = txn.roll_back();
            self.queue.keep_effects(txn.finish().effects.bytes);
        }
    }
}

impl Drop for OpenTxn<'_> {
    fn drop(&mut self) {
        self.roll_back();
    }
}

/// One that panics takes neither the log nor the other callbacks with it.
fn run(callbacks: Vec<Callback>) {
    for callback in callbacks {
        // The panic hook has said what there is to say.
        let _ = panic::catch_unwind(AssertUnwindSafe(callback));
    }
}
