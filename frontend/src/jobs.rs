//! Work that falls due later: durable jobs, run by the clock.
//!
//! A transaction schedules a job together with what the job is about, so a crash leaves both or neither. What is due runs
//! in the order of due times, each job in one transaction that also takes it off or sets its next time: what a job does to
//! the state it does exactly once, however often the process dies. A job that has much to do does a bounded piece and
//! is due again at once, so that requests get their turn.
//!
//! A job that fails changes nothing and is tried again later, at growing intervals; each failure is told in the log. The
//! jobs of a service that does not answer (`--services`) wait until it does.

use std::{
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, atomic::AtomicU64},
};

use cumulog_engine::{Read, RowError, Space, Table, Txn};
use cumulog_shape::{Protocol, Timestamp};
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{
    call::{Call, DEFAULT_ACCOUNT, World},
    emulator::Emulator,
    failure::Failure,
    log::{Level, Log, Quoted},
    service::Service,
    tables::TableVisitor,
};

/// How long a job that failed once waits; each further failure doubles it.
const RETRY_MS: i64 = 1_000;
/// The longest such wait.
const RETRY_MS_MAX: i64 = 300_000;

/// Does a piece of the work that is about `subject`; says when there is more, if ever.
pub(crate) type Handler = fn(&Call, &mut Txn, subject: &str) -> Result<Option<Timestamp>, Failure>;

/// The jobs of one service, in two key spaces of its own.
///
/// A job has a name: its kind and its subject, such as `expire/my-table`. There is one job of a name at most.
#[derive(Clone, Copy)]
pub(crate) struct Jobs {
    /// By due time in milliseconds, then name.
    due: Table<(u64, String, String), JobRow>,
    /// Due times by name.
    times: Table<(String, String), u64>,
}

/// What is kept of a job beside its name and time. A format on disk: append fields with a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct JobRow {
    /// Failures since it last succeeded.
    failures: u32,
}

impl Jobs {
    /// Jobs kept in these key spaces, which the service must own.
    pub(crate) const fn new(due: Space, times: Space) -> Self {
        Self {
            due: Table::new(due),
            times: Table::new(times),
        }
    }

    /// The key spaces that they are kept in.
    pub(crate) const fn spaces(&self) -> [Space; 2] {
        [self.due.space(), self.times.space()]
    }

    /// Shows every table.
    pub(crate) fn each_table(&self, visitor: &impl TableVisitor) {
        visitor.on(self.due);
        visitor.on(self.times);
    }

    /// Schedules the job for `due`, or moves it there.
    pub(crate) fn schedule(
        &self,
        call: &Call,
        txn: &mut Txn,
        (kind, subject): (&str, &str),
        due: Timestamp,
    ) -> Result<(), RowError> {
        let name = (kind.to_owned(), subject.to_owned());
        if self.times.get(txn, &name)? != Some(ms(due)) {
            self.cancel(txn, (kind, subject))?;
            self.put(txn, name, due, JobRow::default());
            let alarm = call.state::<Alarm>();
            txn.on_publish(move || alarm.0.notify_one());
        }
        Ok(())
    }

    /// Takes the job off, if there is one.
    pub(crate) fn cancel(
        &self,
        txn: &mut Txn,
        (kind, subject): (&str, &str),
    ) -> Result<(), RowError> {
        let name = (kind.to_owned(), subject.to_owned());
        if let Some(due) = self.times.get(txn, &name)? {
            self.times.delete(txn, &name);
            self.due.delete(txn, &(due, name.0, name.1));
        }
        Ok(())
    }

    /// When the job is due, if there is one.
    pub(crate) fn due(
        &self,
        read: &impl Read,
        (kind, subject): (&str, &str),
    ) -> Result<Option<Timestamp>, RowError> {
        let due = self
            .times
            .get(read, &(kind.to_owned(), subject.to_owned()))?;
        Ok(due.map(time))
    }

    fn put(&self, txn: &mut Txn, name: (String, String), due: Timestamp, row: JobRow) {
        let (kind, subject) = name.clone();
        self.due.put(txn, &(ms(due), kind, subject), &row);
        self.times.put(txn, &name, &ms(due));
    }

    /// The job that is due first.
    fn first(&self, read: &impl Read) -> Result<Option<Job>, RowError> {
        let first = self.due.scan(read, &()).next().transpose()?;
        Ok(first.map(|((due, kind, subject), row)| Job {
            due: time(due),
            kind,
            subject,
            row,
        }))
    }

    /// Takes `job` off, if it is still as it was when it was chosen.
    fn take(&self, txn: &mut Txn, job: &Job) -> Result<bool, RowError> {
        let (kind, subject) = (job.kind.as_str(), job.subject.as_str());
        let stands = self.due(txn, (kind, subject))? == Some(job.due);
        if stands {
            self.cancel(txn, (kind, subject))?;
        }
        Ok(stands)
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.due.space().name)
    }
}

/// A job before 1970 is due at its beginning, which is as long ago.
fn ms(time: Timestamp) -> u64 {
    u64::try_from(time.0).unwrap_or(0)
}

fn time(ms: u64) -> Timestamp {
    Timestamp(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// A job as it was found.
#[derive(Debug)]
struct Job {
    due: Timestamp,
    kind: String,
    subject: String,
    row: JobRow,
}

/// Rings when a job was scheduled: the runner may sleep too long.
#[derive(Default)]
struct Alarm(Notify);

/// Runs jobs from now on, until the server stops.
pub(crate) fn start(emulator: &Arc<Emulator>) {
    let emulator = Arc::clone(emulator);
    tokio::spawn(async move {
        let runner = Runner {
            services: &emulator.services,
            world: &emulator.world,
            log: &emulator.log,
        };
        let mut closing = emulator.world.closing.clone();
        tokio::select! {
            () = runner.run() => {}
            // An error means that the sender is gone: the server has stopped.
            _ = closing.wait_for(|closing| *closing) => {}
        }
    });
}

/// Runs the jobs of all services.
pub(crate) struct Runner<'a> {
    pub(crate) services: &'a [Service],
    pub(crate) world: &'a Arc<World>,
    pub(crate) log: &'a Log,
}

impl Runner<'_> {
    async fn run(&self) {
        let alarm = self.world.state::<Alarm>();
        loop {
            // Before the look: what is scheduled after it rings.
            let mut rings = pin!(alarm.0.notified());
            rings.as_mut().enable();
            match self.run_due().await {
                Some(next) => {
                    tokio::select! {
                        () = rings => {}
                        () = self.world.clock.sleep_until(next) => {}
                    }
                }
                None => rings.await,
            }
        }
    }

    /// Runs all that is due by now; says when the next job is.
    pub(crate) async fn run_due(&self) -> Option<Timestamp> {
        loop {
            let (service, job) = self.first()?;
            if job.due > self.world.clock.now() {
                return Some(job.due);
            }
            if let Err(failure) = self.attempt(service, &job).await {
                self.log.line(
                    Level::Warn,
                    format_args!(
                        "msg=\"a job failed and will be tried again\" service={} job={} error={:?}",
                        service.schema.name,
                        Quoted(&format!("{}/{}", job.kind, job.subject)),
                        failure.to_string(),
                    ),
                );
                if let Err(pause) = self.postpone(service, &job).await {
                    return Some(pause);
                }
            }
        }
    }

    /// The job that is due first, of all services. Rows that don't decode are told once a look, and their service waits.
    fn first(&self) -> Option<(&Service, Job)> {
        let view = self.world.store.view();
        let mut jobs = Vec::new();
        for service in self.services {
            match service.jobs.map(|jobs| jobs.first(&view)) {
                Some(Ok(Some(job))) => jobs.push((service, job)),
                Some(Err(error)) => self.log.line(
                    Level::Error,
                    format_args!("msg=\"cannot read the jobs\" error={:?}", error.to_string()),
                ),
                Some(Ok(None)) | None => {}
            }
        }
        jobs.into_iter().min_by_key(|(_, job)| job.due)
    }

    async fn attempt(&self, service: &Service, job: &Job) -> Result<(), Failure> {
        let Some(jobs) = service.jobs else {
            return Ok(());
        };
        let handler = service
            .job(&job.kind)
            .ok_or_else(|| Failure::internal("this version has no such kind of job"))?;
        let call = self.call(service);
        let done = call.commit(|txn| {
            if !jobs.take(txn, job)? {
                return Ok(());
            }
            let call = Call {
                now: call.clock().now(),
                ..call.clone()
            };
            if let Some(next) = handler(&call, txn, &job.subject)? {
                let name = (job.kind.clone(), job.subject.clone());
                jobs.put(txn, name, next, JobRow::default());
            }
            Ok::<_, Failure>(())
        });
        // The panic hook has said what there is to say.
        let done = AssertUnwindSafe(done).catch_unwind().await;
        done.unwrap_or_else(|_| Err(Failure::internal("it panicked")))
    }

    /// Moves a job that failed; if even that can't be written, says when to look again.
    async fn postpone(&self, service: &Service, job: &Job) -> Result<(), Timestamp> {
        let Some(jobs) = service.jobs else {
            return Ok(());
        };
        let now = self.world.clock.now();
        let wait_ms = RETRY_MS << job.row.failures.min(16);
        let next = Timestamp(now.0 + wait_ms.min(RETRY_MS_MAX));
        let call = self.call(service);
        let moved = call.commit(|txn| {
            // Else it would stand before all others, and those that free memory never came.
            txn.even_if_full();
            if jobs.take(txn, job)? {
                let failures = job.row.failures.saturating_add(1);
                jobs.put(
                    txn,
                    (job.kind.clone(), job.subject.clone()),
                    next,
                    JobRow { failures },
                );
            }
            Ok::<_, Failure>(())
        });
        moved.await.map_err(|_| next)
    }

    /// The call that a job makes: nobody's request.
    fn call(&self, service: &Service) -> Call {
        Call {
            host_id: None,
            request_id: service
                .request_ids
                .make(&*self.world.random)
                .as_str()
                .into(),
            service: service.schema.name,
            operation: "Job",
            account: DEFAULT_ACCOUNT.into(),
            region: "".into(),
            is_anonymous: false,
            peer: None,
            protocol: Protocol::Json10,
            path: "/".into(),
            headers: Arc::default(),
            now: self.world.clock.now(),
            world: Arc::clone(self.world),
            lsn: Arc::new(AtomicU64::new(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestWorld;
    use cumulog_engine::View;
    use std::sync::LazyLock;

    const JOBS: Jobs = Jobs::new(
        Space::new(0x01f0, "s3/jobs"),
        Space::new(0x01f1, "s3/job-times"),
    );
    /// What ran, by the number of the run.
    const RUNS: Table<(u64,), String> = Table::new(Space::new(0x01ff, "s3/runs"));

    static SERVICES: LazyLock<Vec<Service>> = LazyLock::new(|| {
        vec![
            Service::new(&cumulog_model::s3::SERVICE)
                .jobs(JOBS)
                .job_handler("once", |call, txn, subject| {
                    note(call, txn, subject).map(|()| None)
                })
                .job_handler("hourly", |call, txn, subject| {
                    note(call, txn, subject)?;
                    Ok(Some(Timestamp(call.now.0 + 3_600_000)))
                })
                .job_handler("fails", |call, txn, subject| {
                    note(call, txn, subject)?;
                    Err(Failure::internal("as it was told"))
                })
                .job_handler("panics", |_, _, _| panic!("as it was told")),
        ]
    });

    fn note(call: &Call, txn: &mut Txn, subject: &str) -> Result<(), Failure> {
        let number = RUNS.scan(txn, &()).count() as u64;
        RUNS.put(
            txn,
            &(number,),
            &format!("{subject}@{}", call.now.0 - START),
        );
        Ok(())
    }

    const START: i64 = crate::testing::START_MS;

    struct Bench {
        world: TestWorld,
        log: Log,
    }

    impl Bench {
        fn new() -> Bench {
            let world = TestWorld::new();
            let log = Log::start(Level::Off, Arc::clone(&world.world.clock));
            Bench {
                world,
                log: log.expect("it has no thread"),
            }
        }

        /// Schedules a job so long after the start.
        fn schedule(&self, kind: &str, subject: &str, after_ms: i64) {
            let call = self.world.call("s3");
            let done = call.store().commit(|txn| {
                JOBS.schedule(&call, txn, (kind, subject), Timestamp(START + after_ms))
            });
            done.wait().expect("memory holds").expect("rows decode");
        }

        /// Runs what is due; says when the next is.
        async fn run(&self) -> Option<i64> {
            let runner = Runner {
                services: &SERVICES,
                world: &self.world.world,
                log: &self.log,
            };
            runner.run_due().await.map(|next| next.0 - START)
        }

        fn view(&self) -> View {
            self.world.world.store.view()
        }

        fn runs(&self) -> String {
            let view = self.view();
            let runs = RUNS.scan(&view, &()).map(|run| run.expect("it decodes").1);
            runs.collect::<Vec<_>>().join(" ")
        }
    }

    #[tokio::test]
    async fn what_is_due_runs_once_in_order() {
        let bench = Bench::new();
        bench.schedule("once", "late", 2_000);
        bench.schedule("once", "soon", 1_000);
        bench.schedule("hourly", "clock", 1_500);
        assert_eq!(bench.run().await, Some(1_000));
        bench.world.pass_ms(2_000);
        assert_eq!(bench.run().await, Some(2_000 + 3_600_000));
        assert_eq!(bench.runs(), "soon@2000 clock@2000 late@2000");
    }

    #[tokio::test]
    async fn a_job_moves_and_goes_by_its_name() {
        let bench = Bench::new();
        bench.schedule("once", "a", 1_000);
        bench.schedule("once", "a", 5_000);
        assert_eq!(bench.run().await, Some(5_000));
        let name = ("once", "a");
        assert_eq!(
            JOBS.due(&bench.view(), name).expect("it decodes"),
            Some(Timestamp(START + 5_000))
        );
        let done = bench.world.world.store.commit(|txn| JOBS.cancel(txn, name));
        done.wait().expect("memory holds").expect("rows decode");
        assert_eq!(bench.run().await, None);
        assert_eq!(bench.runs(), "");
    }

    #[tokio::test]
    async fn a_job_that_fails_changes_nothing_and_waits_longer_each_time() {
        let bench = Bench::new();
        bench.schedule("fails", "f", 0);
        assert_eq!(bench.run().await, Some(1_000));
        bench.world.pass_ms(1_000);
        assert_eq!(bench.run().await, Some(3_000));
        assert_eq!(bench.runs(), "");
    }

    #[tokio::test]
    async fn a_panic_and_an_unknown_kind_leave_the_others_alone() {
        let bench = Bench::new();
        bench.schedule("panics", "p", 0);
        bench.schedule("of-the-future", "u", 0);
        bench.schedule("once", "a", 0);
        assert_eq!(bench.run().await, Some(1_000));
        assert_eq!(bench.runs(), "a@0");
    }
}
