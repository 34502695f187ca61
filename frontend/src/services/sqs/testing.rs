//! SQS on a store in memory, with a clock that only tests move.

use crate::call::Call;
use crate::failure::Failure;
use crate::hex;
use crate::testing::TestWorld;
use cumulog_engine::Txn;
use cumulog_model::sqs as model;
use cumulog_shape::Map;

/// One SQS, and the call that every test makes.
#[derive(Clone)]
pub(super) struct Sqs {
    pub(super) call: Call,
    world: TestWorld,
}

type Handler<I, O> = fn(&Call, &mut Txn, I) -> super::error::Result<O>;

impl Sqs {
    pub(super) fn new() -> Sqs {
        let world = TestWorld::new();
        Sqs {
            call: world.call("sqs"),
            world,
        }
    }

    /// Lets time pass.
    pub(super) fn pass_ms(&self, ms: i64) {
        self.world.pass_ms(ms);
    }

    pub(super) fn pass_seconds(&self, seconds: i64) {
        self.pass_ms(seconds * 1000);
    }

    /// Runs a handler that is one transaction.
    pub(super) fn write<I, O>(&self, handler: Handler<I, O>, input: I) -> Result<O, Failure> {
        let call = Call {
            now: self.call.clock().now(),
            ..self.call.clone()
        };
        let result = self
            .call
            .store()
            .commit(|txn| handler(&call, txn, input))
            .wait();
        result
            .expect("a store in memory does not fail")
            .map_err(Into::into)
    }

    /// Makes a queue; answers its URL.
    pub(super) fn queue(&self, name: &str, attributes: &[(&str, &str)]) -> String {
        let attributes = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let input = model::CreateQueueInput {
            queue_name: name.into(),
            attributes: Some(attributes.collect()),
            tags: None,
        };
        let output = self
            .write(super::queues::create_queue, input)
            .expect("is a valid queue");
        output.queue_url.expect("has a URL")
    }

    pub(super) async fn send(&self, url: &str, body: &str) -> model::SendMessageOutput {
        self.try_send(input(url, body))
            .await
            .expect("is a valid message")
    }

    /// Sends to a FIFO queue: the body is the deduplication id.
    pub(super) async fn send_to_group(&self, url: &str, group: &str, body: &str) {
        let id = hex::lower(body.as_bytes());
        let input = model::SendMessageInput {
            message_group_id: Some(group.into()),
            message_deduplication_id: Some(id),
            ..input(url, body)
        };
        self.try_send(input).await.expect("is a valid message");
    }

    pub(super) async fn try_send(
        &self,
        input: model::SendMessageInput,
    ) -> Result<model::SendMessageOutput, Failure> {
        super::send::send_message(self.call.clone(), input).await
    }

    /// Receives up to ten messages without waiting.
    pub(super) async fn receive(&self, url: &str) -> Vec<model::Message> {
        self.receive_with(model::ReceiveMessageInput {
            max_number_of_messages: Some(10),
            ..poll(url, 0)
        })
        .await
        .expect("is a valid receive")
    }

    pub(super) async fn receive_with(
        &self,
        input: model::ReceiveMessageInput,
    ) -> Result<Vec<model::Message>, Failure> {
        let output = super::receive::receive_message(self.call.clone(), input).await?;
        Ok(output.messages.unwrap_or_default())
    }

    pub(super) fn delete(&self, url: &str, message: &model::Message) -> Result<(), Failure> {
        let input = model::DeleteMessageInput {
            queue_url: url.into(),
            receipt_handle: handle(message),
        };
        self.write(super::visibility::delete_message, input)
            .map(|_| ())
    }

    pub(super) fn change(
        &self,
        url: &str,
        message: &model::Message,
        seconds: i32,
    ) -> Result<(), Failure> {
        let input = model::ChangeMessageVisibilityInput {
            queue_url: url.into(),
            receipt_handle: handle(message),
            visibility_timeout: seconds,
        };
        self.write(super::visibility::change_message_visibility, input)
            .map(|_| ())
    }

    pub(super) async fn attributes(&self, url: &str) -> Map<String> {
        let input = model::GetQueueAttributesInput {
            queue_url: url.into(),
            attribute_names: Some(vec!["All".into()]),
        };
        let output = super::queues::get_queue_attributes(self.call.clone(), input).await;
        output
            .expect("is a valid question")
            .attributes
            .unwrap_or_default()
    }

    /// How many messages are visible, in flight and delayed.
    pub(super) async fn counts(&self, url: &str) -> [u64; 3] {
        let attributes = self.attributes(url).await;
        ["", "NotVisible", "Delayed"].map(|kind| {
            let count = attributes.get(&format!("ApproximateNumberOfMessages{kind}"));
            count
                .and_then(|count| count.parse().ok())
                .expect("is a number")
        })
    }
}

pub(super) fn input(url: &str, body: &str) -> model::SendMessageInput {
    model::SendMessageInput {
        queue_url: url.into(),
        message_body: body.into(),
        ..Default::default()
    }
}

/// A receive of one message that waits for so many seconds.
pub(super) fn poll(url: &str, wait_seconds: i32) -> model::ReceiveMessageInput {
    model::ReceiveMessageInput {
        queue_url: url.into(),
        wait_time_seconds: Some(wait_seconds),
        ..Default::default()
    }
}

pub(super) fn handle(message: &model::Message) -> String {
    message
        .receipt_handle
        .clone()
        .expect("every message has a handle")
}

pub(super) fn bodies(messages: &[model::Message]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message.body.as_deref().expect("has a body"))
        .collect()
}
