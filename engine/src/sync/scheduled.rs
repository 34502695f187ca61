//! parking_lot's interface over shuttle's locks: they are not poisoned, and a wait takes its guard by reference.

use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

pub(crate) use shuttle::sync::{atomic, mpsc};

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard {
            mutex: self,
            guard: Some(guard),
        }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let guard = match self.0.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(MutexGuard {
            mutex: self,
            guard: Some(guard),
        })
    }
}

pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// `None` while it waits.
    guard: Option<shuttle::sync::MutexGuard<'a, T>>,
}

/// Who tries the lock must find it held also after the last thing that its holder did: shuttle leaves no room in between.
impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.guard.is_some() && !std::thread::panicking() {
            shuttle::thread::sleep(Duration::ZERO);
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().expect("it does not wait")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("it does not wait")
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(shuttle::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> RwLock<T> {
        RwLock(shuttle::sync::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> impl Deref<Target = T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> impl DerefMut<Target = T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

/// Says nothing: nobody asks why a wait ended.
pub(crate) struct Waited;

impl Condvar {
    pub(crate) fn new() -> Condvar {
        Condvar::default()
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let inner = guard.guard.take().expect("it does not wait");
        let inner = self.0.wait(inner);
        guard.guard = Some(inner.unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn wait_while<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) {
        while condition(guard) {
            self.wait(guard);
        }
    }

    /// The deadline may come before anything else happens, or after all of it.
    pub(crate) fn wait_while_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
        deadline: Instant,
    ) -> Waited {
        if condition(guard) {
            guard.guard = None;
            shuttle::thread::yield_now();
            let again = guard.mutex.0.lock();
            guard.guard = Some(again.unwrap_or_else(PoisonError::into_inner));
        }
        if condition(guard) {
            pass_until(deadline);
        }
        Waited
    }
}

/// When time began; it passes only by waiting.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

std::thread_local! {
    /// All tasks of a run are on one thread of the system.
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

pub(crate) fn now() -> Instant {
    *BEGIN + PASSED.get()
}

fn pass_until(time: Instant) {
    PASSED.set(PASSED.get().max(time.saturating_duration_since(*BEGIN)));
}

pub(crate) mod thread {
    //! shuttle's threads, which can be asked whether they are finished.

    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    pub(crate) use shuttle::thread::{Thread, current, park};

    #[derive(Default)]
    pub(crate) struct Builder(shuttle::thread::Builder);

    impl Builder {
        pub(crate) fn new() -> Builder {
            Builder::default()
        }

        pub(crate) fn name(self, name: String) -> Builder {
            Builder(self.0.name(name))
        }

        pub(crate) fn spawn<T: Send + 'static>(
            self,
            body: impl FnOnce() -> T + Send + 'static,
        ) -> io::Result<JoinHandle<T>> {
            let is_finished = Arc::new(AtomicBool::new(false));
            let at_end = is_finished.clone();
            let handle = self.0.spawn(move || {
                let result = body();
                at_end.store(true, Ordering::SeqCst);
                result
            })?;
            Ok(JoinHandle {
                handle,
                is_finished,
            })
        }
    }

    #[derive(Debug)]
    pub(crate) struct JoinHandle<T> {
        handle: shuttle::thread::JoinHandle<T>,
        is_finished: Arc<AtomicBool>,
    }

    impl<T> JoinHandle<T> {
        pub(crate) fn join(self) -> std::thread::Result<T> {
            self.handle.join()
        }

        pub(crate) fn is_finished(&self) -> bool {
            self.is_finished.load(Ordering::SeqCst)
        }

        pub(crate) fn thread(&self) -> &Thread {
            self.handle.thread()
        }
    }
}
