//! One run beside its model.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::Future as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use cumulog_engine::disk::{Crash, Faults, Simulated};
use cumulog_engine::{
    Blob, BlobId, Compacting, Durability, Error, Label, Lsn, Options, Pending, Read, Store, Txn,
    View,
};

use crate::state::{Body, SPACE, State, content, is_logged, require, shows};
use crate::stepped::{Stepped, answer, released};
use crate::steps::{Action, End, Ending, Kind, Plan, Size, Step};

const DIRECTORY: &str = "data";

/// How long a thread may take for what it is about to do anyway.
const PATIENCE: Duration = Duration::from_secs(20);

/// A state that was the newest one at some time, and its number in the log.
#[derive(Clone, Debug)]
struct Moment {
    lsn: Lsn,
    state: State,
}

/// A body that was taken in by this life.
struct Finished {
    blob: Blob,
    body: Body,
    /// Has a transaction attached it?
    is_taken: bool,
}

/// What a closure returns.
type Outcome = Result<(), ()>;

/// The callbacks that ran, by number.
type Published = Arc<Mutex<Vec<u64>>>;

struct Held {
    view: View,
    moment: Moment,
}

enum Session {
    Stepped(Box<Stepped>),
    Threaded(Store),
}

impl Session {
    fn store(&self) -> &Store {
        match self {
            Session::Stepped(stepped) => &stepped.store,
            Session::Threaded(store) => store,
        }
    }
}

pub(crate) struct Run<'a> {
    plan: &'a Plan,
    disk: Simulated,
    session: Session,
    durability: Durability,
    /// Since the opening, oldest first.
    moments: Vec<Moment>,
    /// The last moment that is known to be published.
    published: usize,
    /// Answers that are still to come, and what they were computed on.
    waiting: Vec<(Pending<Outcome>, Outcome)>,
    /// Compactions, and whether the store was closed before.
    compacting: Vec<(Compacting, bool)>,
    bodies: Vec<Finished>,
    held: Vec<Held>,
    ran: Published,
    /// What must have run once all is published.
    expected: Vec<u64>,
    numbers: u64,
    is_closed: bool,
}

impl<'a> Run<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Run<'a> {
        let disk = Simulated::default();
        let session = match plan.kind {
            Kind::Memory => Session::Threaded(Store::ephemeral(options(plan, plan.durability))),
            _ => open(plan, plan.durability, &disk).expect("an empty disk"),
        };
        Run {
            plan,
            disk,
            session,
            durability: plan.durability,
            moments: vec![Moment {
                lsn: Lsn(0),
                state: State::default(),
            }],
            published: 0,
            waiting: Vec::new(),
            compacting: Vec::new(),
            bodies: Vec::new(),
            held: Vec::new(),
            ran: Arc::default(),
            expected: Vec::new(),
            numbers: 0,
            is_closed: false,
        }
    }

    pub(crate) fn check(mut self) {
        for step in &self.plan.steps {
            self.step(step);
            if self.disk.crashed() {
                continue;
            }
            self.look();
        }
        self.settle();
        self.drop_views();
        if self.plan.kind != Kind::Memory {
            self.reopen(End::Close, self.durability, None);
        }
    }

    fn step(&mut self, step: &Step) {
        // A process whose disk is gone does nothing worth looking at.
        if self.disk.crashed() && !matches!(step, Step::Reopen(..)) {
            return;
        }
        match step {
            Step::Commit {
                actions,
                ending,
                forgotten,
            } => self.commit(actions, *ending, *forgotten),
            Step::Reset => self.reset(),
            Step::Settle => self.settle(),
            Step::Pause(time) => self.pause(Duration::from_millis(*time)),
            Step::HoldView => self.hold_view(),
            Step::DropView(place) => {
                if let Some(held) = taken(&mut self.held, *place) {
                    require(&held.view, held.moment.lsn, &held.moment.state);
                }
            }
            Step::Write { size, is_logged } => self.write(*size, *is_logged),
            Step::Compact(pace) => {
                let compacting = self.session.store().compact(*pace);
                self.compacting.push((compacting, self.is_closed));
            }
            Step::DropBody(place) => drop(taken(&mut self.bodies, *place)),
            Step::Close => self.close(),
            Step::Reopen(end, durability, crash_at) => match self.plan.kind {
                Kind::Memory => {}
                _ => self.reopen(*end, *durability, *crash_at),
            },
        }
    }

    fn head(&self) -> &Moment {
        self.moments.last().expect("there is one from the start")
    }

    /// Is there something that the log has not seen to yet, as far as can be told?
    fn is_published(&self) -> bool {
        self.published + 1 == self.moments.len()
    }

    /// Compares what a reader sees, and what the store says of itself.
    fn look(&mut self) {
        let status = self.session.store().status();
        assert_eq!(status.head, self.head().lsn);
        assert!(status.synced <= status.published && status.published <= status.head);
        assert!(!status.poisoned && !status.lacks_space);
        let view = self.session.store().view();
        self.published = self.moment_of(&view);
        if self.plan.kind == Kind::Stepped {
            assert_eq!(view.lsn(), status.published);
        }
    }

    /// Which moment a view shows: exactly the published one, or with a thread one from there on.
    fn moment_of(&self, view: &View) -> usize {
        let known = match self.plan.kind {
            Kind::Threaded => self.published..self.moments.len(),
            _ => self.published..self.published + 1,
        };
        let fits = |index: &usize| {
            let moment = &self.moments[*index];
            moment.lsn == view.lsn() && shows(view, &moment.state)
        };
        let found = known.clone().find(fits);
        found.unwrap_or_else(|| {
            let moment = &self.moments[known.start];
            require(view, moment.lsn, &moment.state);
            unreachable!("it differs from all of {known:?}")
        })
    }

    fn hold_view(&mut self) {
        let view = self.session.store().view();
        let moment = self.moments[self.moment_of(&view)].clone();
        self.held.push(Held { view, moment });
    }

    fn drop_views(&mut self) {
        for held in self.held.drain(..) {
            require(&held.view, held.moment.lsn, &held.moment.state);
        }
    }

    fn commit(&mut self, actions: &[Action], ending: Ending, forgotten: bool) {
        if !self.make_room() {
            return;
        }
        let before = self.head().clone();
        let was_published = self.is_published();
        let taken: Vec<bool> = self.bodies.iter().map(|body| body.is_taken).collect();
        let mut work = Work {
            state: before.state.clone(),
            bodies: &mut self.bodies,
            ran: &self.ran,
            numbers: &mut self.numbers,
            callbacks: Vec::new(),
            changed: false,
            logged: false,
            everything_logged: self.plan.kind == Kind::Memory,
        };
        let store = self.session.store().clone();
        let committed = catch_unwind(AssertUnwindSafe(|| {
            store.commit(|txn| {
                actions.iter().for_each(|action| work.act(action, txn));
                match ending {
                    Ending::Commit => Ok(()),
                    Ending::Fail => Err(()),
                    Ending::Panic => resume_unwind(Box::new(Planned)),
                }
            })
        }));
        let Work {
            state,
            callbacks,
            changed,
            logged,
            ..
        } = work;
        let mut pending = match committed {
            Ok(pending) => pending,
            Err(panic) if panic.is::<Planned>() => return self.give_back(&taken),
            Err(panic) => resume_unwind(panic),
        };
        let result = if ending == Ending::Commit {
            Ok(())
        } else {
            Err(())
        };
        if changed && result.is_ok() && self.is_closed {
            assert!(matches!(released(pending), Err(Error::Closed)));
            return self.give_back(&taken);
        }
        if result.is_err() {
            self.give_back(&taken);
        } else {
            self.expected.extend(callbacks);
        }
        let mut at_once = was_published;
        if changed && result.is_ok() {
            let lsn = if logged {
                Lsn(before.lsn.0 + 1)
            } else {
                before.lsn
            };
            assert_eq!(pending.lsn(), logged.then_some(lsn), "its place in the log");
            self.moments.push(Moment { lsn, state });
            at_once &= !logged || self.plan.kind == Kind::Memory;
            if at_once {
                self.published = self.moments.len() - 1;
            }
        } else {
            assert_eq!(pending.lsn(), None, "it changed nothing");
        }
        if self.plan.kind != Kind::Threaded {
            let answered = answer(&mut pending);
            assert_eq!(answered.is_some(), at_once, "is the answer there?");
            if let Some(answered) = answered {
                return assert_eq!(answered.expect("nothing fails"), result);
            }
        }
        if !forgotten {
            self.waiting.push((pending, result));
        }
    }

    fn give_back(&mut self, taken: &[bool]) {
        for (body, is_taken) in self.bodies.iter_mut().zip(taken) {
            body.is_taken = *is_taken;
        }
    }

    fn reset(&mut self) {
        if !self.make_room() {
            return;
        }
        let pending = self.session.store().reset();
        if self.is_closed {
            return assert!(matches!(released(pending), Err(Error::Closed)));
        }
        let lsn = Lsn(self.head().lsn.0 + 1);
        assert_eq!(pending.lsn(), Some(lsn));
        let state = State::default();
        self.moments.push(Moment { lsn, state });
        if self.plan.kind == Kind::Memory {
            self.published = self.moments.len() - 1;
        }
    }

    /// A full queue would block the commit for ever if nobody drives the log. Says whether the disk survived that.
    fn make_room(&mut self) -> bool {
        let mut admission = self.session.store().admission();
        let mut context = Context::from_waker(Waker::noop());
        if pin!(&mut admission).poll(&mut context).is_pending() {
            self.settle();
            assert!(pin!(&mut admission).poll(&mut context).is_ready());
        }
        !self.disk.crashed()
    }

    /// Lets the log finish, and takes all answers.
    fn settle(&mut self) {
        match &mut self.session {
            Session::Stepped(stepped) => stepped.settle(),
            Session::Threaded(store) => {
                // Behind all that is queued. It fails only if the disk does.
                let _ = store.commit(|_| Ok::<_, Infallible>(())).wait();
            }
        }
        for (pending, expected) in self.waiting.drain(..) {
            let answered = match self.session {
                Session::Stepped(_) => released(pending),
                Session::Threaded(_) => pending.wait(),
            };
            match answered {
                Ok(result) => assert_eq!(result, expected),
                Err(error) => assert!(self.disk.crashed(), "{error}"),
            }
        }
        self.settle_compactions();
        if self.disk.crashed() {
            return;
        }
        self.published = self.moments.len() - 1;
        let deadline = Instant::now() + PATIENCE;
        while self.ran.lock().expect("no panic").len() < self.expected.len() {
            assert!(Instant::now() < deadline, "callbacks that never ran");
            thread::yield_now();
        }
        assert_eq!(*self.ran.lock().expect("no panic"), self.expected);
    }

    fn settle_compactions(&mut self) {
        for (compacting, was_closed) in self.compacting.drain(..) {
            match compacting.wait() {
                Ok(compacted) => {
                    let last = self.moments.last().expect("there is one from the start");
                    assert!(compacted.lsn <= last.lsn);
                }
                Err(Error::Closed) => assert!(was_closed || self.is_closed),
                Err(error) => assert!(self.disk.crashed(), "{error}"),
            }
        }
    }

    fn pause(&mut self, time: Duration) {
        self.settle();
        match &mut self.session {
            Session::Stepped(stepped) => stepped.pause(time),
            // Its time is real: whoever has something to do gets a turn.
            Session::Threaded(_) => thread::yield_now(),
        }
    }

    fn write(&mut self, size: Size, is_logged: bool) {
        let bytes = match size {
            Size::Inline(bytes) => usize::from(bytes) % 4097,
            Size::Packed(bytes) => 4097 + usize::from(bytes),
            Size::Large(bytes) => (1 << 20) + 1 + usize::from(bytes),
        };
        self.numbers += 1;
        let seed = self.numbers;
        let space = if is_logged { 0 } else { SPACE.len() - 1 };
        let mut writer = self.session.store().blob_writer(SPACE[space]);
        let mut write = || {
            for part in content(seed, bytes).chunks(300_001) {
                writer.write(part)?;
            }
            Ok::<_, Error>(())
        };
        let written = write();
        assert_eq!(writer.bytes() == bytes as u64, written.is_ok());
        match written.and_then(|()| writer.finish()) {
            Ok(blob) => {
                assert_eq!(blob.bytes(), bytes as u64);
                self.bodies.push(Finished {
                    blob,
                    body: Body {
                        references: 1,
                        bytes,
                        seed,
                        is_logged: is_logged && self.plan.kind != Kind::Memory,
                    },
                    is_taken: false,
                });
            }
            Err(error) => assert!(self.disk.crashed(), "{error}"),
        }
    }

    fn close(&mut self) {
        if self.plan.kind != Kind::Stepped || !self.is_closed {
            self.settle();
        }
        let closed = match &mut self.session {
            Session::Stepped(stepped) => stepped.close(),
            Session::Threaded(store) => store.close(),
        };
        match closed {
            Ok(()) => self.is_closed = true,
            Err(error) => assert!(self.disk.crashed(), "{error}"),
        }
    }

    /// Drops the last handle. If it has a thread, that closes it.
    fn drop_store(&mut self) {
        self.waiting.clear();
        self.compacting.clear();
        if self.plan.kind == Kind::Threaded {
            self.session = Session::Threaded(Store::ephemeral(Options::default()));
            if !self.disk.crashed() {
                self.published = self.moments.len() - 1;
                self.is_closed = true;
            }
        }
    }

    /// Ends this life and begins the next, and takes what it finds for the first moment of that.
    fn reopen(&mut self, end: End, durability: Durability, crash_at: Option<u64>) {
        if !self.disk.crashed() {
            self.look();
            self.drop_views();
        }
        self.held.clear();
        self.bodies.clear();
        let synced = self.session.store().status().synced;
        let crash = match end {
            _ if self.disk.crashed() => crash_of(end),
            End::Close => {
                self.close();
                crash_of(end)
            }
            End::Drop => {
                self.drop_store();
                crash_of(end)
            }
            End::Crash(crash) => crash,
        };
        self.waiting.clear();
        self.compacting.clear();
        let is_clean = self.is_closed && !self.disk.crashed();
        let acknowledged = self.moments[self.published].lsn;
        let survives =
            self.is_closed || self.durability == Durability::Power || !is_power_loss(crash);
        let least = if survives { acknowledged } else { synced };
        let faults = Faults {
            // With a thread, the crash would come while a step is compared with its model.
            crash_at: crash_at.filter(|_| self.plan.kind == Kind::Stepped),
            ..Faults::default()
        };
        let last = std::mem::take(&mut self.disk);
        self.disk = last.restart(crash, faults);
        self.durability = durability;
        let opened = open(self.plan, durability, &self.disk);
        self.session = match opened {
            Ok(session) => session,
            Err(error) => {
                assert!(self.disk.crashed(), "{error}");
                // Nothing was promised meanwhile, but what was in the cache can go with the power.
                self.disk = self.disk.restart(Crash::Process(0), Faults::default());
                open(self.plan, durability, &self.disk).expect("the disk is whole")
            }
        };
        self.found(least, is_clean);
    }

    fn found(&mut self, least: Lsn, is_clean: bool) {
        let view = self.session.store().view();
        let lsn = view.lsn();
        let most = self.head().lsn;
        assert!(
            (least..=most).contains(&lsn),
            "found {lsn:?} of {least:?} to {most:?}"
        );
        let moment = self.moments.iter().find(|moment| moment.lsn == lsn);
        let state = moment.expect("every number has one").state.logged();
        assert!(!is_clean || lsn == most, "it was closed");
        if !self.disk.crashed() {
            require(&view, lsn, &state);
            self.require_no_orphans(&state);
        }
        self.moments = vec![Moment { lsn, state }];
        self.published = 0;
        self.ran = Arc::default();
        self.expected.clear();
        self.is_closed = false;
    }

    /// Every file of a body has its row.
    fn require_no_orphans(&self, state: &State) {
        let expected: BTreeSet<String> = state
            .blobs
            .iter()
            .filter(|(_, body)| body.bytes > 1 << 20)
            .map(|(id, _)| format!("{:016x}.blob", id.0))
            .collect();
        let files = self.disk.files();
        let blobs = files
            .keys()
            .filter(|path| path.extension().is_some_and(|kind| kind == "blob"));
        let found: BTreeSet<String> = blobs
            .filter_map(|path| path.file_name()?.to_str())
            .map(str::to_owned)
            .collect();
        assert_eq!(found, expected);
        let temporary = |path: &Path| {
            path.extension()
                .is_some_and(|kind| kind == "tmp" || kind == "spill")
                && path.starts_with("data/blobs")
        };
        assert!(!files.keys().any(|path| temporary(path)));
    }
}

/// The payload of a panic that is part of the plan.
struct Planned;

/// A transaction in progress, and its model.
struct Work<'a> {
    state: State,
    bodies: &'a mut Vec<Finished>,
    ran: &'a Published,
    numbers: &'a mut u64,
    callbacks: Vec<u64>,
    changed: bool,
    /// Was any of it in a key space that is logged?
    logged: bool,
    everything_logged: bool,
}

impl Work<'_> {
    fn act(&mut self, action: &Action, txn: &mut Txn) {
        match action {
            Action::Put(space, key, value) => self.put(txn, *space, key, value),
            Action::Fill(space, prefix, from, count) => {
                for number in *from..from + count {
                    let key = [&prefix[..], &number.to_be_bytes()].concat();
                    self.put(txn, *space, &key, &number.to_le_bytes());
                }
            }
            Action::Delete(space, key) => {
                let was_there = self.state.rows[*space].remove(key).is_some();
                assert_eq!(txn.delete(SPACE[*space], key), was_there);
                self.note(was_there, is_logged(*space));
            }
            Action::DeletePrefix(space, prefix) => {
                let rows = &mut self.state.rows[*space];
                let before = rows.len();
                rows.retain(|key, _| !key.starts_with(prefix));
                let count = (before - rows.len()) as u64;
                assert_eq!(txn.delete_prefix(SPACE[*space], prefix), count);
                self.note(count > 0, is_logged(*space));
            }
            Action::Get(space, key) => {
                let expected = self.state.rows[*space].get(key).map(|value| &value[..]);
                assert_eq!(txn.get(SPACE[*space], key), expected);
            }
            Action::Range(space, from, to, turns) => {
                let (from, to) = (
                    from.as_ref().map(Vec::as_slice),
                    to.as_ref().map(Vec::as_slice),
                );
                self.range(txn, *space, (from, to), *turns);
            }
            Action::Label => txn.label(Label {
                time_ms: 7,
                request: "request".into(),
                operation: "test:Operation".into(),
            }),
            Action::OnPublish => {
                *self.numbers += 1;
                let (number, ran) = (*self.numbers, self.ran.clone());
                self.callbacks.push(number);
                txn.on_publish(move || ran.lock().expect("no panic").push(number));
            }
            Action::OnPublishPanic => txn.on_publish(|| resume_unwind(Box::new(Planned))),
            Action::Attach(place) => self.attach(txn, *place),
            Action::Retain(place) => {
                let id = self.blob_at(*place);
                let body = self.state.blobs.get_mut(&id);
                let is_there = body.map(|body| body.references += 1).is_some();
                self.blob_changed(txn.retain(id), is_there, id);
            }
            Action::Release(place) => self.release(txn, *place),
        }
    }

    fn put(&mut self, txn: &mut Txn, space: usize, key: &[u8], value: &[u8]) {
        self.state.rows[space].insert(key.to_vec(), value.into());
        txn.put(SPACE[space], key, value);
        self.note(true, is_logged(space));
    }

    fn note(&mut self, changed: bool, is_logged: bool) {
        self.changed |= changed;
        self.logged |= changed && (is_logged || self.everything_logged);
    }

    /// From both ends, looking up each entry meanwhile.
    fn range(
        &self,
        txn: &Txn,
        space: usize,
        (from, to): (std::ops::Bound<&[u8]>, std::ops::Bound<&[u8]>),
        turns: u64,
    ) {
        let mut expected = self.state.range(space, from, to).into_iter();
        let mut range = txn.range(SPACE[space], from, to);
        for turn in 0.. {
            let (found, expected) = match turns >> (turn % 64) & 1 {
                0 => (range.next(), expected.next()),
                _ => (range.next_back(), expected.next_back()),
            };
            assert_eq!(found, expected);
            let Some((key, value)) = found else { break };
            assert_eq!(txn.get(SPACE[space], key), Some(value));
        }
        assert_eq!((range.next(), range.next_back()), (None, None));
    }

    fn attach(&mut self, txn: &mut Txn, place: usize) {
        let count = self.bodies.len();
        let Some(finished) = self.bodies.get_mut(place.checked_rem(count).unwrap_or(0)) else {
            return;
        };
        let (id, body) = (finished.blob.id(), finished.body);
        let known = self.state.blobs.get_mut(&id);
        let is_there = known.is_some() || !finished.is_taken;
        match known {
            Some(known) => known.references += 1,
            None if is_there => drop(self.state.blobs.insert(id, body)),
            None => {}
        }
        finished.is_taken = true;
        let attached = txn.attach(&finished.blob);
        if let Ok(attached) = &attached {
            assert_eq!(*attached, id);
        }
        self.blob_changed(attached.map(drop), is_there, id);
    }

    fn release(&mut self, txn: &mut Txn, place: usize) {
        let id = self.blob_at(place);
        let released = txn.release(id);
        let is_there = self.state.blobs.contains_key(&id);
        self.blob_changed(released, is_there, id);
        if let Some(body) = self.state.blobs.get_mut(&id) {
            body.references -= 1;
            if body.references == 0 {
                self.state.blobs.remove(&id);
            }
        }
    }

    /// The blob at this place of the list, or one that never was.
    fn blob_at(&self, place: usize) -> BlobId {
        let count = self.state.blobs.len();
        let id = place
            .checked_rem(count)
            .and_then(|place| self.state.blobs.keys().nth(place));
        id.copied().unwrap_or(BlobId(12345))
    }

    fn blob_changed(&mut self, result: Result<(), Error>, is_there: bool, id: BlobId) {
        match result {
            Ok(()) => assert!(is_there, "{id:?} is gone"),
            Err(Error::NoSuchBlob { .. }) => assert!(!is_there, "{id:?} is there"),
            Err(other) => panic!("{other}"),
        }
        let is_logged = self.state.blobs.get(&id).is_some_and(|body| body.is_logged);
        self.note(is_there, is_logged);
    }
}

fn options(plan: &Plan, durability: Durability) -> Options {
    Options {
        durability,
        ephemeral_spaces: vec![SPACE[SPACE.len() - 1]],
        queue_bytes_max: plan.queue_bytes_max,
        segment_bytes: plan.segment_bytes,
        compaction_bytes_min: plan.compaction_bytes_min,
        seed: (plan.kind == Kind::Stepped).then_some(1),
        owner: "test".to_owned(),
        ..Options::default()
    }
}

fn open(plan: &Plan, durability: Durability, disk: &Simulated) -> Result<Session, Error> {
    let options = options(plan, durability);
    if plan.kind == Kind::Stepped {
        let (session, recovery) = Stepped::open(disk, DIRECTORY, options)?;
        assert_eq!(session.store.view().lsn(), recovery.lsn);
        return Ok(Session::Stepped(Box::new(session)));
    }
    let (store, recovery) = Store::open(Arc::new(disk.clone()), Path::new(DIRECTORY), options)?;
    assert_eq!(store.view().lsn(), recovery.lsn);
    Ok(Session::Threaded(store))
}

/// A process that ends in order leaves its cache to the kernel.
fn crash_of(end: End) -> Crash {
    match end {
        End::Crash(crash) => crash,
        End::Close | End::Drop => Crash::Process(0),
    }
}

fn is_power_loss(crash: Crash) -> bool {
    matches!(crash, Crash::Power(_))
}

fn taken<T>(list: &mut Vec<T>, place: usize) -> Option<T> {
    let place = place.checked_rem(list.len())?;
    Some(list.swap_remove(place))
}
