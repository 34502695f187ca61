//! Random operations, after each of which all rows of a queue must agree.

use super::ledger;
use super::rows::{
    AGED, DUE, GROUP_MESSAGES, GROUPS, GROUPS_DUE, MESSAGES, QueueId, STATES, TimeMs,
};
use super::testing::{Sqs, poll};
use cumulog_engine::Read;
use cumulog_model::sqs as model;
use std::collections::{BTreeMap, BTreeSet};

const GROUPS_USED: usize = 4;

#[tokio::test]
async fn rows_agree_whatever_happens() {
    for (name, seeds) in [("jobs", 0..8), ("jobs.fifo", 8..16)] {
        for seed in seeds {
            run(name, seed, 150).await;
        }
    }
}

/// Runs random operations on a queue that sends its dead letters to another.
async fn run(name: &str, seed: u64, steps: u32) {
    let mut random = fastrand::Rng::with_seed(seed);
    let sqs = Sqs::new();
    let fifo = name.ends_with(".fifo");
    let dead_name = format!("dead-{name}");
    let policy = format!(
        r#"{{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:{dead_name}","maxReceiveCount":3}}"#
    );
    let mut attributes = vec![
        ("MessageRetentionPeriod", "300"),
        ("VisibilityTimeout", "20"),
        ("DelaySeconds", "3"),
    ];
    if fifo {
        attributes.push(("FifoQueue", "true"));
    }
    let dead = sqs.queue(&dead_name, &attributes);
    attributes.push(("RedrivePolicy", &policy));
    let url = sqs.queue(name, &attributes);
    let mut held: Vec<(bool, model::Message)> = Vec::new();
    for step in 0..steps {
        let from_dead = random.u8(..4) == 0;
        let from = if from_dead { &dead } else { &url };
        match random.u8(..10) {
            0..=3 if fifo => {
                let group = random.usize(..GROUPS_USED).to_string();
                sqs.send_to_group(&url, &group, &format!("{group} {step}"))
                    .await;
            }
            0..=3 => drop(sqs.send(&url, &step.to_string()).await),
            4..=6 => {
                let input = model::ReceiveMessageInput {
                    max_number_of_messages: Some(random.i32(1..=10)),
                    visibility_timeout: random.bool().then(|| random.i32(0..40)),
                    ..poll(from, 0)
                };
                let taken = sqs.receive_with(input).await.expect("is valid");
                held.extend(taken.into_iter().map(|message| (from_dead, message)));
            }
            7 if !held.is_empty() => {
                let (of_dead, message) = held.swap_remove(random.usize(..held.len()));
                // A stale handle is refused by FIFO queues.
                let _ = sqs.delete(if of_dead { &dead } else { &url }, &message);
            }
            8 if !held.is_empty() => {
                let (of_dead, message) = &held[random.usize(..held.len())];
                // So is one of a message that is not in flight.
                let _ = sqs.change(
                    if *of_dead { &dead } else { &url },
                    message,
                    random.i32(0..60),
                );
            }
            _ => sqs.pass_seconds(random.i64(0..30)),
        }
        for queue in [1, 2] {
            check(
                &sqs.call.view(),
                queue,
                fifo,
                &format!("{name}, seed {seed}, step {step}"),
            );
        }
    }
    // In the end time takes everything.
    sqs.pass_seconds(1_000);
    for url in [&dead, &url] {
        assert_eq!(sqs.counts(url).await, [0, 0, 0], "{name}, seed {seed}");
    }
    for space in [
        MESSAGES.space(),
        STATES.space(),
        DUE.space(),
        AGED.space(),
        GROUPS_DUE.space(),
    ] {
        assert_eq!(
            super::tests::entries(&sqs, space),
            0,
            "{}, seed {seed}",
            space.name
        );
    }
}

/// Checks every row of a queue against its messages.
fn check(read: &impl Read, queue: QueueId, fifo: bool, at: &str) {
    let prefix = (queue,);
    let messages: BTreeMap<_, _> = MESSAGES
        .scan(read, &prefix)
        .map(|row| row.expect("decodes"))
        .collect();
    let states: BTreeMap<_, _> = STATES
        .scan(read, &prefix)
        .map(|row| row.expect("decodes"))
        .collect();
    assert!(
        states.keys().all(|key| messages.contains_key(key)),
        "states without message: {at}"
    );

    let counters = ledger::counters(read, queue).expect("decodes");
    let received = states.values().filter(|state| state.receipt > 0).count();
    assert_eq!(
        (counters.messages, counters.received),
        (messages.len() as u64, received as u64),
        "{at}"
    );
    let oldest_ms = messages.values().map(|message| message.sent_ms).min();
    assert!(
        oldest_ms.is_none_or(|oldest_ms| counters.oldest_ms <= oldest_ms),
        "oldest: {at}"
    );

    let visible_ms = |key| {
        states
            .get(key)
            .map_or(messages[key].visible_ms, |state| state.visible_ms)
    };
    let expected: BTreeSet<_> = messages
        .keys()
        .map(|key| (key.0, visible_ms(key), key.1))
        .collect();
    let due: BTreeSet<_> = DUE
        .scan(read, &prefix)
        .map(|row| row.expect("decodes").0)
        .collect();
    assert_eq!(due, expected, "due: {at}");
    let expected: BTreeSet<_> = states
        .iter()
        .filter_map(|(key, state)| Some((key.0, state.aged_ms?, key.1)))
        .collect();
    let aged: BTreeSet<_> = AGED
        .scan(read, &prefix)
        .map(|row| row.expect("decodes").0)
        .collect();
    assert_eq!(aged, expected, "aged: {at}");
    if fifo {
        check_groups(
            read,
            queue,
            at,
            &messages
                .keys()
                .map(|key| (key.1, visible_ms(key)))
                .collect(),
        );
    }
}

/// Checks that each group stands where its messages say.
fn check_groups(read: &impl Read, queue: QueueId, at: &str, visible_ms: &BTreeMap<u64, TimeMs>) {
    let mut groups: BTreeMap<String, (TimeMs, u64)> = BTreeMap::new();
    let mut members = 0;
    for row in GROUP_MESSAGES.scan(read, &(queue,)) {
        let ((_, group, number), _) = row.expect("decodes");
        members += 1;
        let state = STATES.get(read, &(queue, number)).expect("decodes");
        let received = state.is_some_and(|state| state.receipt > 0);
        match groups.get_mut(&group) {
            None => drop(groups.insert(group, (visible_ms[&number], number))),
            Some(due) if received => due.0 = due.0.max(visible_ms[&number]),
            Some(_) => {}
        }
    }
    assert_eq!(members, visible_ms.len(), "members: {at}");
    let rows: BTreeMap<_, _> = GROUPS
        .scan(read, &(queue,))
        .map(|row| row.expect("decodes"))
        .map(|((_, group), row)| (group, (row.due_ms, row.first)))
        .collect();
    assert_eq!(rows, groups, "groups: {at}");
    let due: BTreeMap<_, _> = GROUPS_DUE
        .scan(read, &(queue,))
        .map(|row| row.expect("decodes"))
        .map(|((_, due_ms, first), group)| (group, (due_ms, first)))
        .collect();
    assert_eq!(due, groups, "groups due: {at}");
}
