//! What a run is made of, and how it is drawn. Any sequence makes sense, so that a failing one can be made shorter by
//! leaving out any of its steps.

use std::ops::Bound;

use cumulog_engine::disk::{Crash, Loss};
use cumulog_engine::{Durability, Pace};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// One run: how the store is set up, and what is done with it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) durability: Durability,
    pub(crate) segment_bytes: u64,
    pub(crate) queue_bytes_max: usize,
    pub(crate) compaction_bytes_min: u64,
    pub(crate) steps: Vec<Step>,
}

/// Who drives the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// There is none.
    Memory,
    /// The test.
    Stepped,
    /// A thread, which committers help.
    Threaded,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Commit {
        actions: Vec<Action>,
        ending: Ending,
        /// Is the answer thrown away?
        forgotten: bool,
    },
    Reset,
    /// Waits until everything is acknowledged.
    Settle,
    /// Lets so many milliseconds pass.
    Pause(u64),
    /// Takes a view, to be looked at much later.
    HoldView,
    DropView(usize),
    /// Takes a body in.
    Write {
        size: Size,
        is_logged: bool,
    },
    DropBody(usize),
    /// Asks for a compaction.
    Compact(Pace),
    Close,
    Reopen(End, Durability, Option<u64>),
}

/// How the transaction's closure ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    Commit,
    Fail,
    Panic,
}

/// What a closure does. Places in lists are taken modulo their length.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Put(usize, Vec<u8>, Vec<u8>),
    /// Many small entries under a prefix, from this number on.
    Fill(usize, Vec<u8>, u16, u16),
    Delete(usize, Vec<u8>),
    DeletePrefix(usize, Vec<u8>),
    Get(usize, Vec<u8>),
    /// The bits of the number say from which end each next entry is taken.
    Range(usize, Bound<Vec<u8>>, Bound<Vec<u8>>, u64),
    Label,
    OnPublish,
    /// A callback that panics.
    OnPublishPanic,
    Attach(usize),
    Retain(usize),
    Release(usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    Inline(u16),
    Packed(u16),
    Large(u16),
}

/// How a life of the store ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Close,
    /// The last handle is dropped, which closes the store if it has a thread.
    Drop,
    Crash(Crash),
}

/// How many key spaces there are; the last one is not logged.
pub(crate) const SPACES: usize = 4;

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let kind = prop_oneof![
        1 => Just(Kind::Memory),
        5 => Just(Kind::Stepped),
        2 => Just(Kind::Threaded),
    ];
    let bytes = (
        select(vec![8 << 10, 64 << 10, 1 << 20]),
        select(vec![2 << 10, 8 << 20]),
        select(vec![u64::MAX, 1 << 10]),
    );
    (kind, durability(), bytes, vec(step(), 1..60)).prop_map(
        |(kind, durability, (segment_bytes, queue_bytes_max, compaction_bytes_min), steps)| Plan {
            kind,
            durability,
            segment_bytes,
            queue_bytes_max,
            compaction_bytes_min,
            steps,
        },
    )
}

fn durability() -> impl Strategy<Value = Durability> + Clone {
    select(vec![
        Durability::None,
        Durability::Process,
        Durability::Power,
    ])
}

fn step() -> impl Strategy<Value = Step> {
    let ending =
        prop_oneof![8 => Just(Ending::Commit), 1 => Just(Ending::Fail), 1 => Just(Ending::Panic)];
    let commit = (vec(action(), 0..6), ending, prop::bool::weighted(0.1)).prop_map(
        |(actions, ending, forgotten)| Step::Commit {
            actions,
            ending,
            forgotten,
        },
    );
    let size = prop_oneof![
        3 => any::<u16>().prop_map(Size::Inline),
        3 => any::<u16>().prop_map(Size::Packed),
        1 => any::<u16>().prop_map(Size::Large),
    ];
    let write = (size, prop::bool::weighted(0.8))
        .prop_map(|(size, is_logged)| Step::Write { size, is_logged });
    prop_oneof![
        40 => commit,
        1 => Just(Step::Reset),
        12 => Just(Step::Settle),
        4 => (0..300u64).prop_map(Step::Pause),
        5 => Just(Step::HoldView),
        4 => any::<usize>().prop_map(Step::DropView),
        5 => write,
        2 => any::<usize>().prop_map(Step::DropBody),
        3 => select(vec![Pace::Gentle, Pace::Full]).prop_map(Step::Compact),
        1 => Just(Step::Close),
        5 => (end(), durability(), prop::option::weighted(0.3, 0..150u64))
            .prop_map(|(end, durability, crash_at)| Step::Reopen(end, durability, crash_at)),
    ]
}

fn end() -> impl Strategy<Value = End> {
    let power = prop_oneof![
        Just(Loss::All),
        Just(Loss::None),
        (0..8usize).prop_map(Loss::One),
        (0..8usize).prop_map(Loss::Prefix),
        Just(Loss::Zeros),
        any::<u64>().prop_map(Loss::Garbage),
        any::<u64>().prop_map(Loss::Torn),
    ];
    prop_oneof![
        2 => Just(End::Close),
        1 => Just(End::Drop),
        3 => any::<u8>().prop_map(|done| End::Crash(Crash::Process(done))),
        3 => power.prop_map(|loss| End::Crash(Crash::Power(loss))),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let space = 0..SPACES;
    let value = prop_oneof![
        8 => vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 40..5000usize).prop_map(|(byte, bytes)| vec![byte; bytes]),
    ];
    let bound = prop_oneof![
        1 => Just(Bound::Unbounded),
        2 => key().prop_map(Bound::Included),
        2 => key().prop_map(Bound::Excluded),
    ];
    prop_oneof![
        10 => (space.clone(), key(), value).prop_map(|(space, key, value)| Action::Put(space, key, value)),
        2 => (space.clone(), key(), 0..400u16, 1..300u16)
            .prop_map(|(space, prefix, from, count)| Action::Fill(space, prefix, from, count)),
        4 => (space.clone(), key()).prop_map(|(space, key)| Action::Delete(space, key)),
        2 => (space.clone(), key()).prop_map(|(space, key)| Action::DeletePrefix(space, key)),
        4 => (space.clone(), key()).prop_map(|(space, key)| Action::Get(space, key)),
        4 => (space, bound.clone(), bound, any::<u64>())
            .prop_map(|(space, from, to, turns)| Action::Range(space, from, to, turns)),
        1 => Just(Action::Label),
        3 => Just(Action::OnPublish),
        1 => Just(Action::OnPublishPanic),
        4 => any::<usize>().prop_map(Action::Attach),
        1 => any::<usize>().prop_map(Action::Retain),
        3 => any::<usize>().prop_map(Action::Release),
    ]
}

/// Few bytes, so that keys meet, the least and the greatest among them.
fn key() -> impl Strategy<Value = Vec<u8>> + Clone {
    vec(select(vec![0, b'a', b'b', 0xFF]), 0..4)
}
