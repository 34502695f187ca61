//! The behaviour of queues over time.

use super::rows;
use super::testing::{Sqs, bodies, handle, input, poll};
use cumulog_engine::{Read, Space};
use cumulog_model::sqs as model;
use std::ops::Bound;

const FIFO: (&str, &str) = ("FifoQueue", "true");

#[tokio::test]
async fn a_message_is_hidden_while_somebody_holds_it() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[("VisibilityTimeout", "30")]);
    sqs.send(&url, "one").await;
    let first = sqs.receive(&url).await;
    assert_eq!(bodies(&first), ["one"]);
    sqs.pass_ms(29_999);
    assert_eq!(bodies(&sqs.receive(&url).await), [""; 0]);
    sqs.pass_ms(1);
    let second = sqs.receive(&url).await;
    assert_eq!(bodies(&second), ["one"]);
    assert_ne!(handle(&first[0]), handle(&second[0]));
}

#[tokio::test]
async fn a_stale_handle_keeps_the_message() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[]);
    sqs.send(&url, "one").await;
    let first = sqs.receive(&url).await;
    sqs.pass_seconds(30);
    let second = sqs.receive(&url).await;
    sqs.delete(&url, &first[0])
        .expect("a stale handle is accepted");
    assert_eq!(sqs.counts(&url).await, [0, 1, 0]);
    sqs.delete(&url, &second[0]).expect("is current");
    assert_eq!(sqs.counts(&url).await, [0, 0, 0]);
    sqs.delete(&url, &second[0])
        .expect("deleting again is accepted");
}

#[tokio::test]
async fn an_expired_handle_deletes_unless_the_queue_is_fifo() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[]);
    sqs.send(&url, "one").await;
    let taken = sqs.receive(&url).await;
    sqs.pass_seconds(31);
    sqs.delete(&url, &taken[0])
        .expect("nobody received it since");
    assert_eq!(sqs.counts(&url).await, [0, 0, 0]);

    let url = sqs.queue("jobs.fifo", &[FIFO]);
    sqs.send_to_group(&url, "g", "one").await;
    let taken = sqs.receive(&url).await;
    sqs.pass_seconds(31);
    let failure = sqs.delete(&url, &taken[0]).expect_err("has expired");
    let expected = format!(
        "Value {} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
        handle(&taken[0])
    );
    assert_eq!(
        (failure.query_code, failure.message),
        (Some("InvalidParameterValue"), expected)
    );
    assert_eq!(sqs.counts(&url).await, [1, 0, 0]);
}

#[tokio::test]
async fn counts_are_exact() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[]);
    for body in ["a", "b", "c"] {
        sqs.send(&url, body).await;
    }
    let delayed = model::SendMessageInput {
        delay_seconds: Some(60),
        ..input(&url, "later")
    };
    sqs.try_send(delayed).await.expect("is valid");
    assert_eq!(sqs.counts(&url).await, [3, 0, 1]);
    let taken = sqs.receive_with(poll(&url, 0)).await.expect("is valid");
    assert_eq!(sqs.counts(&url).await, [2, 1, 1]);
    sqs.delete(&url, &taken[0]).expect("is current");
    assert_eq!(sqs.counts(&url).await, [2, 0, 1]);
    sqs.pass_seconds(60);
    assert_eq!(sqs.counts(&url).await, [3, 0, 0]);
}

#[tokio::test]
async fn visibility_moves_by_the_clock() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[]);
    sqs.send(&url, "one").await;
    let taken = sqs.receive(&url).await;
    sqs.change(&url, &taken[0], 100).expect("is in flight");
    sqs.pass_seconds(99);
    assert!(sqs.receive(&url).await.is_empty());
    sqs.change(&url, &taken[0], 0).expect("is in flight");
    let again = sqs.receive(&url).await;
    assert_eq!(bodies(&again), ["one"]);

    let failure = sqs.change(&url, &taken[0], 10).expect_err("is stale");
    assert!(
        failure
            .message
            .ends_with("is not available for visibility timeout change."),
        "{failure:?}"
    );
    let failure = sqs
        .change(&url, &again[0], 43_201)
        .expect_err("is too long");
    assert_eq!(failure.query_code, Some("InvalidParameterValue"));
    sqs.pass_seconds(1);
    let failure = sqs
        .change(&url, &again[0], 43_200)
        .expect_err("is too long in all");
    assert!(
        failure.message.contains("beyond the limit [43200 seconds]"),
        "{failure:?}"
    );
    sqs.pass_seconds(29);
    let failure = sqs.change(&url, &again[0], 10).expect_err("is visible");
    assert_eq!(failure.code, "MessageNotInflight");
}

#[tokio::test]
async fn messages_go_when_their_retention_is_over() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[("MessageRetentionPeriod", "60")]);
    sqs.send(&url, "old").await;
    sqs.send(&url, "held").await;
    let held = sqs.receive_with(poll(&url, 0)).await.expect("is valid");
    sqs.pass_seconds(30);
    sqs.send(&url, "new").await;
    assert_eq!(sqs.counts(&url).await, [3, 0, 0]);
    sqs.pass_seconds(30);
    assert_eq!(sqs.counts(&url).await, [1, 0, 0]);
    assert_eq!(bodies(&sqs.receive(&url).await), ["new"]);
    sqs.delete(&url, &held[0])
        .expect("deleting what is gone is accepted");
    sqs.pass_seconds(30);
    assert_eq!(sqs.counts(&url).await, [0, 0, 0]);
    assert_is_empty(
        &sqs,
        &[
            rows::MESSAGES.space(),
            rows::STATES.space(),
            rows::DUE.space(),
        ],
    );
}

#[tokio::test]
async fn a_shorter_retention_counts_for_messages_that_are_there() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[]);
    sqs.send(&url, "old").await;
    sqs.pass_seconds(100);
    set(&sqs, &url, "MessageRetentionPeriod", "60");
    assert!(sqs.receive(&url).await.is_empty());
}

#[tokio::test]
async fn a_group_is_blocked_while_a_message_of_it_is_held() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs.fifo", &[FIFO]);
    for body in ["a1", "a2", "a3"] {
        sqs.send_to_group(&url, "a", body).await;
    }
    sqs.send_to_group(&url, "b", "b1").await;
    let two = model::ReceiveMessageInput {
        max_number_of_messages: Some(2),
        ..poll(&url, 0)
    };
    let held = sqs.receive_with(two).await.expect("is valid");
    assert_eq!(bodies(&held), ["a1", "a2"]);
    assert_eq!(bodies(&sqs.receive(&url).await), ["b1"]);
    assert!(sqs.receive(&url).await.is_empty());
    assert_eq!(sqs.counts(&url).await, [1, 3, 0]);

    sqs.delete(&url, &held[0]).expect("is current");
    assert!(sqs.receive(&url).await.is_empty(), "a2 is still held");
    sqs.change(&url, &held[1], 0).expect("is in flight");
    assert_eq!(bodies(&sqs.receive(&url).await), ["a2", "a3"]);
}

#[tokio::test]
async fn a_group_comes_back_in_order() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs.fifo", &[FIFO]);
    for body in ["a1", "a2", "a3"] {
        sqs.send_to_group(&url, "a", body).await;
    }
    let held = sqs.receive(&url).await;
    sqs.change(&url, &held[0], 0).expect("is in flight");
    sqs.pass_seconds(29);
    assert!(
        sqs.receive(&url).await.is_empty(),
        "a2 and a3 are still held"
    );
    sqs.pass_seconds(1);
    assert_eq!(bodies(&sqs.receive(&url).await), ["a1", "a2", "a3"]);
}

#[tokio::test]
async fn a_send_is_not_repeated_for_five_minutes() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs.fifo", &[FIFO, ("ContentBasedDeduplication", "true")]);
    let send = |group: &str| model::SendMessageInput {
        message_group_id: Some(group.into()),
        ..input(&url, "same")
    };
    let first = sqs.try_send(send("a")).await.expect("is valid");
    let taken = sqs.receive(&url).await;
    sqs.delete(&url, &taken[0]).expect("is current");
    sqs.pass_ms(299_999);
    let again = sqs.try_send(send("b")).await.expect("is valid");
    assert_eq!(
        (&again.message_id, &again.sequence_number),
        (&first.message_id, &first.sequence_number)
    );
    assert_eq!(sqs.counts(&url).await, [0, 0, 0]);
    sqs.pass_ms(1);
    let third = sqs.try_send(send("b")).await.expect("is valid");
    assert_ne!(third.message_id, first.message_id);
    assert_eq!(sqs.counts(&url).await, [1, 0, 0]);

    sqs.pass_seconds(300);
    sqs.send_to_group(&url, "c", "other").await;
    assert_eq!(
        entries(&sqs, rows::SENDS.space()),
        1,
        "windows that have ended leave no rows"
    );
    assert_eq!(entries(&sqs, rows::SENDS_END.space()), 1);
}

/// As recorded from AWS.
#[tokio::test]
async fn deduplication_by_group_minds_what_the_whole_queue_had() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs.fifo", &[FIFO]);
    let send = async |group: &str, body: &str| {
        let input = model::SendMessageInput {
            message_group_id: Some(group.into()),
            message_deduplication_id: Some("id".into()),
            ..input(&url, body)
        };
        sqs.try_send(input).await.expect("is valid");
        bodies(&sqs.receive(&url).await).len()
    };
    assert_eq!(send("a", "1").await, 1);
    assert_eq!(send("b", "2").await, 0);
    set(&sqs, &url, "DeduplicationScope", "messageGroup");
    assert_eq!(send("c", "3").await, 0);

    let url = sqs.queue("more.fifo", &[FIFO, ("DeduplicationScope", "messageGroup")]);
    let send = async |group: &str, body: &str| {
        let input = model::SendMessageInput {
            message_group_id: Some(group.into()),
            message_deduplication_id: Some("id".into()),
            ..input(&url, body)
        };
        sqs.try_send(input).await.expect("is valid");
        bodies(&sqs.receive(&url).await).len()
    };
    assert_eq!(send("a", "1").await, 1);
    assert_eq!(send("b", "2").await, 1);
    set(&sqs, &url, "DeduplicationScope", "queue");
    assert_eq!(send("c", "3").await, 1);
}

#[tokio::test]
async fn an_attempt_can_be_repeated_while_its_messages_are_held() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs.fifo", &[FIFO]);
    sqs.send_to_group(&url, "a", "1").await;
    sqs.send_to_group(&url, "b", "2").await;
    let attempt = || model::ReceiveMessageInput {
        receive_request_attempt_id: Some("attempt".into()),
        ..poll(&url, 0)
    };
    let receive = async || sqs.receive_with(attempt()).await.expect("is valid");
    let first = receive().await;
    sqs.pass_seconds(20);
    let again = receive().await;
    assert_eq!(handle(&first[0]), handle(&again[0]));
    sqs.pass_seconds(29);
    assert_eq!(
        handle(&receive().await[0]),
        handle(&first[0]),
        "the timeout started anew"
    );
    sqs.delete(&url, &first[0]).expect("is current");
    assert_eq!(bodies(&receive().await), ["2"]);

    sqs.pass_seconds(300);
    assert_eq!(bodies(&receive().await), ["2"]);
    let ends = entries(&sqs, rows::ATTEMPTS_END.space());
    assert_eq!((entries(&sqs, rows::ATTEMPTS.space()), ends), (1, 1));
}

#[tokio::test]
async fn a_fifo_delay_counts_for_messages_that_are_still_delayed() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs.fifo", &[FIFO, ("DelaySeconds", "100")]);
    sqs.send_to_group(&url, "a", "1").await;
    sqs.pass_seconds(10);
    assert_eq!(sqs.counts(&url).await, [0, 0, 1]);
    set(&sqs, &url, "DelaySeconds", "20");
    assert!(sqs.receive(&url).await.is_empty());
    sqs.pass_seconds(10);
    assert_eq!(bodies(&sqs.receive(&url).await), ["1"]);
}

#[tokio::test]
async fn messages_received_too_often_become_dead_letters() {
    let sqs = Sqs::new();
    let dead = sqs.queue("dead", &[("MessageRetentionPeriod", "120")]);
    let arn = "arn:aws:sqs:us-east-1:000000000000:dead";
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":2}}"#);
    let url = sqs.queue(
        "jobs",
        &[("RedrivePolicy", &policy), ("VisibilityTimeout", "30")],
    );
    let sent = sqs.send(&url, "poison").await;
    for _ in 0..2 {
        assert_eq!(sqs.receive(&url).await.len(), 1);
        sqs.pass_seconds(30);
    }
    assert!(sqs.receive(&url).await.is_empty());
    assert_eq!(sqs.counts(&url).await, [0, 0, 0]);
    let all = model::ReceiveMessageInput {
        attribute_names: Some(vec!["All".into()]),
        ..poll(&dead, 0)
    };
    let letters = sqs.receive_with(all).await.expect("is valid");
    assert_eq!(letters[0].message_id, sent.message_id);
    let attributes = letters[0].attributes.as_ref().expect("were asked for");
    assert_eq!(
        attributes
            .get("ApproximateReceiveCount")
            .map(String::as_str),
        Some("3")
    );
    let source = "arn:aws:sqs:us-east-1:000000000000:jobs";
    assert_eq!(
        attributes
            .get("DeadLetterQueueSourceArn")
            .map(String::as_str),
        Some(source)
    );

    // It keeps its age: 60 of 120 seconds are over.
    sqs.send(&dead, "younger").await;
    sqs.pass_seconds(60);
    assert_eq!(sqs.counts(&dead).await, [1, 0, 0]);
    assert_is_empty(&sqs, &[rows::AGED.space(), rows::STATES.space()]);
}

#[tokio::test]
async fn a_dead_letter_that_is_deleted_leaves_nothing() {
    let sqs = Sqs::new();
    let dead = sqs.queue("dead", &[]);
    let policy =
        r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":1}"#;
    let url = sqs.queue("jobs", &[("RedrivePolicy", policy)]);
    sqs.send(&url, "poison").await;
    sqs.receive(&url).await;
    sqs.pass_seconds(30);
    assert!(sqs.receive(&url).await.is_empty());
    let letters = sqs.receive(&dead).await;
    sqs.delete(&dead, &letters[0]).expect("is current");
    assert_is_empty(
        &sqs,
        &[
            rows::MESSAGES.space(),
            rows::AGED.space(),
            rows::STATES.space(),
            rows::DUE.space(),
        ],
    );
}

#[tokio::test]
async fn a_queue_outlives_its_dead_letter_queue() {
    let sqs = Sqs::new();
    let dead = sqs.queue("dead", &[]);
    let policy =
        r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":1}"#;
    let url = sqs.queue("jobs", &[("RedrivePolicy", policy)]);
    sqs.send(&url, "one").await;
    let input = model::DeleteQueueInput { queue_url: dead };
    sqs.write(super::queues::delete_queue, input)
        .expect("exists");
    set(&sqs, &url, "VisibilityTimeout", "10");
    for _ in 0..3 {
        assert_eq!(bodies(&sqs.receive(&url).await), ["one"]);
        sqs.pass_seconds(10);
    }
}

#[tokio::test]
async fn a_deleted_queue_leaves_nothing_and_its_handles_die() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs.fifo", &[FIFO]);
    sqs.send_to_group(&url, "a", "1").await;
    let attempt = model::ReceiveMessageInput {
        receive_request_attempt_id: Some("attempt".into()),
        ..poll(&url, 0)
    };
    let taken = sqs.receive_with(attempt).await.expect("is valid");
    let input = model::DeleteQueueInput {
        queue_url: url.clone(),
    };
    sqs.write(super::queues::delete_queue, input)
        .expect("exists");
    let kept = rows::LAST_QUEUE.space();
    let spaces = rows::SPACES
        .iter()
        .copied()
        .filter(|space| space.id != kept.id);
    assert_is_empty(&sqs, &spaces.collect::<Vec<_>>());
    let url = sqs.queue("jobs.fifo", &[FIFO]);
    let failure = sqs
        .delete(&url, &taken[0])
        .expect_err("is of another queue");
    assert_eq!(failure.code, "ReceiptHandleIsInvalid");
}

#[tokio::test]
async fn a_purge_forgets_messages_and_deduplication() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs.fifo", &[FIFO]);
    sqs.send_to_group(&url, "a", "1").await;
    sqs.send_to_group(&url, "b", "2").await;
    sqs.receive_with(poll(&url, 0)).await.expect("is valid");
    let input = model::PurgeQueueInput {
        queue_url: url.clone(),
    };
    sqs.write(super::queues::purge_queue, input)
        .expect("exists");
    assert_eq!(sqs.counts(&url).await, [0, 0, 0]);
    sqs.send_to_group(&url, "a", "1").await;
    assert_eq!(bodies(&sqs.receive(&url).await), ["1"]);
}

#[tokio::test]
async fn a_long_poll_ends_with_the_first_message() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[]);
    let waiting = spawn_poll(&sqs, &url, 20).await;
    sqs.send(&url, "now").await;
    assert_eq!(waiting.await.expect("does not panic"), ["now"]);
}

#[tokio::test]
async fn a_long_poll_with_an_attempt_id_waits() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs.fifo", &[FIFO]);
    let input = model::ReceiveMessageInput {
        receive_request_attempt_id: Some("attempt".into()),
        ..poll(&url, 20)
    };
    let waiting = spawn(&sqs, input).await;
    sqs.send_to_group(&url, "a", "now").await;
    assert_eq!(waiting.await.expect("does not panic"), ["now"]);
}

#[tokio::test]
async fn a_long_poll_sees_what_becomes_visible() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[("VisibilityTimeout", "5")]);
    let waiting = spawn_poll(&sqs, &url, 20).await;
    let delayed = model::SendMessageInput {
        delay_seconds: Some(10),
        ..input(&url, "late")
    };
    sqs.try_send(delayed).await.expect("is valid");
    settle().await;
    sqs.pass_ms(9_999);
    settle().await;
    assert!(!waiting.is_finished());
    sqs.pass_ms(1);
    assert_eq!(waiting.await.expect("does not panic"), ["late"]);
    let waiting = spawn_poll(&sqs, &url, 20).await;
    sqs.pass_seconds(5);
    assert_eq!(waiting.await.expect("does not panic"), ["late"]);
}

#[tokio::test]
async fn a_long_poll_ends_empty_at_its_time() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[("ReceiveMessageWaitTimeSeconds", "3")]);
    let input = model::ReceiveMessageInput {
        queue_url: url,
        ..Default::default()
    };
    let waiting = tokio::spawn({
        let sqs = sqs.clone();
        async move { sqs.receive_with(input).await.expect("is valid").len() }
    });
    settle().await;
    sqs.pass_ms(2_999);
    settle().await;
    assert!(!waiting.is_finished());
    sqs.pass_ms(1);
    assert_eq!(waiting.await.expect("does not panic"), 0);
}

#[tokio::test]
async fn every_waiter_gets_a_message_of_its_own() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[]);
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(spawn_poll(&sqs, &url, 20).await);
    }
    let bodies: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    for body in &bodies {
        sqs.send(&url, body).await;
    }
    let mut got = Vec::new();
    for waiting in waiting {
        got.extend(waiting.await.expect("does not panic"));
    }
    got.sort_by_key(|body| body.parse::<u32>().expect("is a number"));
    assert_eq!(got, bodies);
}

#[tokio::test]
async fn a_waiter_whose_time_is_over_leaves_no_other_without_its_message() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[]);
    let first = spawn_poll(&sqs, &url, 1).await;
    let second = spawn_poll(&sqs, &url, 20).await;
    sqs.send(&url, "one").await;
    sqs.pass_seconds(1);
    let first = first.await.expect("does not panic");
    if first.is_empty() {
        assert_eq!(second.await.expect("does not panic"), ["one"]);
    }
}

/// Fills a queue up to the limit by its rows: 120,000 receives would take long.
#[tokio::test]
async fn no_more_messages_are_handed_out_than_may_be_in_flight() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[]);
    sqs.send(&url, "one").await;
    let now = sqs.call.clock().now().0;
    let crowd = sqs.call.store().commit(|txn| {
        let mut counters = rows::COUNTERS.get(txn, &(1,))?.unwrap_or_default();
        counters.messages += 120_000;
        counters.received = 120_000;
        rows::COUNTERS.put(txn, &(1,), &counters);
        for number in 2..120_002 {
            rows::DUE.put(txn, &(1, now + 30_000, number), &true);
        }
        Ok::<_, cumulog_engine::RowError>(())
    });
    crowd.wait().expect("is in memory").expect("decodes");
    let short = sqs
        .receive_with(poll(&url, 0))
        .await
        .expect_err("the queue is crowded");
    assert_eq!(short.code, "OverLimit");
    let long = sqs
        .receive_with(poll(&url, 20))
        .await
        .expect("a long poll is not told");
    assert_eq!(long.len(), 0);
}

#[tokio::test]
async fn a_waiter_that_goes_away_swallows_nothing() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[]);
    let gone = spawn_poll(&sqs, &url, 20).await;
    let stays = spawn_poll(&sqs, &url, 20).await;
    // The signal goes to the one that waits longest, which then goes away before it runs.
    sqs.send(&url, "one").await;
    gone.abort();
    assert_eq!(stays.await.expect("does not panic"), ["one"]);
}

#[tokio::test]
async fn a_long_poll_fails_when_its_queue_is_deleted() {
    let sqs = Sqs::new();
    let url = sqs.queue("jobs", &[]);
    let waiting = tokio::spawn({
        let (sqs, input) = (sqs.clone(), poll(&url, 20));
        async move {
            sqs.receive_with(input)
                .await
                .expect_err("the queue is gone")
                .code
        }
    });
    settle().await;
    let input = model::DeleteQueueInput { queue_url: url };
    sqs.write(super::queues::delete_queue, input)
        .expect("exists");
    assert_eq!(waiting.await.expect("does not panic"), "QueueDoesNotExist");
}

async fn spawn_poll(sqs: &Sqs, url: &str, seconds: i32) -> tokio::task::JoinHandle<Vec<String>> {
    spawn(sqs, poll(url, seconds)).await
}

async fn spawn(
    sqs: &Sqs,
    input: model::ReceiveMessageInput,
) -> tokio::task::JoinHandle<Vec<String>> {
    let sqs = sqs.clone();
    let waiting = tokio::spawn(async move {
        let messages = sqs.receive_with(input).await.expect("is a valid receive");
        bodies(&messages).into_iter().map(str::to_owned).collect()
    });
    settle().await;
    waiting
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn set(sqs: &Sqs, url: &str, name: &str, value: &str) {
    let input = model::SetQueueAttributesInput {
        queue_url: url.into(),
        attributes: [(name.to_owned(), value.to_owned())].into_iter().collect(),
    };
    sqs.write(super::queues::set_queue_attributes, input)
        .expect("is a valid change");
}

pub(super) fn entries(sqs: &Sqs, space: Space) -> usize {
    sqs.call
        .view()
        .range(space, Bound::Unbounded, Bound::Unbounded)
        .count()
}

fn assert_is_empty(sqs: &Sqs, spaces: &[Space]) {
    for space in spaces {
        assert_eq!(entries(sqs, *space), 0, "{}", space.name);
    }
}
